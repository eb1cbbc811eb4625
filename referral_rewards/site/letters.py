"""Composes the letter of an invitation, as plain text and as HTML that says the same."""

from functools import cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from referral_rewards.site.product import Offer
from referral_rewards.site.rows import Invitation
from referral_rewards.site.shown_programs import ShownProgram


class Written(NamedTuple):
    """A letter as it is sent."""

    subject: str
    text: str
    html: str


def invitation(program: ShownProgram, offer: Offer, first_name: str, invited: Invitation, home: str) -> Written:
    """Return the letter of an invitation. ``first_name`` is the referrer's, empty for none; ``home`` where the front
    door stands."""
    said = {
        "program": program,
        "offer": offer,
        "who": first_name or f"Somebody who buys from {program.company}",
        "name": invited.name or "",
        "link": f"{home}/i/{invited.id}",
    }
    text = _texts().get_template("invitation.txt").render(said)
    first, _, rest = text.partition("\n")
    subject = " ".join(first.removeprefix("Subject: ").split())
    paragraphs = [" ".join(each.split()) for each in rest.split("\n\n") if each.strip()]
    html = _pages().get_template("letter.html").render(said, subject=subject, paragraphs=paragraphs)
    return Written(subject, "\n\n".join(paragraphs) + "\n", html)


@cache
def _texts() -> Environment:
    # Plain text needs no escaping; `_pages` escapes the HTML.
    return Environment(loader=PackageLoader("referral_rewards.site"), undefined=StrictUndefined, autoescape=False)  # noqa: S701


@cache
def _pages() -> Environment:
    return Environment(loader=PackageLoader("referral_rewards.site"), undefined=StrictUndefined, autoescape=True)
