"""Writes letters: the words of the explanation, in a template for each thing that is told."""

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
    """What a letter is made of. ``began`` is the day of the referral; ``rewards`` are the reader's own, in words;
    ``link`` leads to the reader's own page, or an approver to the claim; ``handed`` is what the reader gets of a rail:
    links and codes of theirs alone."""

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


class Written(NamedTuple):
    """A letter as it is sent: its subject, and its text plain and in HTML."""

    subject: str
    text: str
    html: str


def compose(letter: Letter) -> Written:
    """The letter. The HTML says the same as the plain text: it is laid out from it."""
    plain = _texts().get_template(f"{letter.template}.txt").render(letter=letter)
    first, _, rest = plain.partition("\n")
    subject = " ".join(first.removeprefix(_SUBJECT).split())
    paragraphs = [each.strip().splitlines() for each in _GAP.split(rest) if each.strip()]
    text = "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"
    html = _pages().get_template("letter.html").render(subject=subject, paragraphs=paragraphs, links=_links(letter))
    return Written(subject, text, html)


def _links(letter: Letter) -> frozenset[str]:
    return frozenset({letter.link, *(each.what for each in letter.handed if each.kind == "link")})


def without_secrets(written: Written, letter: Letter) -> Written:
    """The letter for the record: who reads that must get neither the reader's own page with it, nor what is handed."""
    hidden = {each.what: f"(the reader's own {each.kind})" for each in letter.handed}
    hidden[letter.link] = "(the reader's own link)"
    parts = list(written)
    for secret, instead in hidden.items():
        # In HTML it is escaped.
        parts = [part.replace(secret, instead).replace(str(escape(secret)), instead) for part in parts]
    return Written(*parts)


@cache
def _texts() -> Environment:
    # Plain text is escaped for nobody; a letter's HTML is laid out by `_pages`.
    return Environment(loader=PackageLoader("referral_rewards.notices"), undefined=StrictUndefined, autoescape=False)  # noqa: S701


@cache
def _pages() -> Environment:
    return Environment(loader=PackageLoader("referral_rewards.notices"), undefined=StrictUndefined, autoescape=True)
