"""Composes letters from the explanation of a decision, with one template per occasion."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape

from referral_rewards.domain.payouts.states import Handed

_SUBJECT: Final = "Subject: "
_GAP: Final = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The content of a letter. ``began`` is the day on which the referral began. ``rewards`` are the reader's own
    rewards, in words, and ``taken`` sentences about what was taken back of them so far, and ``left_out``
    says why the reader gets none. ``link`` leads to the reader's
    status page, or for an approver to the claim. ``handed`` holds the links and codes from rails for this reader."""

    template: str
    program: str
    referral: str
    began: str
    why: str
    next: str | None
    appeal: str | None
    rewards: Sequence[str]
    link: str
    handed: Sequence[Handed] = ()
    taken: Sequence[str] = ()
    left_out: str | None = None

    @property
    def links(self) -> frozenset[str]:
        return frozenset({self.link, *(each.what for each in self.handed if each.kind == "link")})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLetter:
    """The content of a letter to a user about a change of their account. ``change`` is a clause that says who did what
    and when, and ``link`` leads to the account."""

    template: str
    user: str
    change: str
    link: str

    @property
    def links(self) -> frozenset[str]:
        return frozenset({self.link})


class Written(NamedTuple):
    """A letter as sent: its subject, its plain text and its HTML."""

    subject: str
    text: str
    html: str


def compose(letter: Letter | AccountLetter) -> Written:
    """Compose a letter. The HTML is generated from the plain text and says the same."""
    plain = _texts().get_template(f"{letter.template}.txt").render(letter=letter)
    first, _, rest = plain.partition("\n")
    subject = " ".join(first.removeprefix(_SUBJECT).split())
    paragraphs = [each.strip().splitlines() for each in _GAP.split(rest) if each.strip()]
    text = "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"
    html = _pages().get_template("letter.html").render(subject=subject, paragraphs=paragraphs, links=letter.links)
    return Written(subject, text, html)


def without_secrets(written: Written, letter: Letter) -> Written:
    """Return the letter for the record, without the link to the recipient's page and without links and codes of
    rails."""
    hidden = {each.what: f"(the reader's own {each.kind})" for each in letter.handed}
    hidden[letter.link] = "(the reader's own link)"
    parts = list(written)
    for secret, instead in hidden.items():
        # The HTML holds the secret escaped.
        parts = [part.replace(secret, instead).replace(str(escape(secret)), instead) for part in parts]
    return Written(*parts)


@cache
def _texts() -> Environment:
    # Plain text needs no escaping; `_pages` escapes the HTML.
    return Environment(loader=PackageLoader("referral_rewards.notices"), undefined=StrictUndefined, autoescape=False)  # noqa: S701


@cache
def _pages() -> Environment:
    return Environment(loader=PackageLoader("referral_rewards.notices"), undefined=StrictUndefined, autoescape=True)
