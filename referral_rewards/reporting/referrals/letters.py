"""What a letter says of a referral: the explanation that everybody gets, and what concerns its reader alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import Handed
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.notices.composing import Letter
from referral_rewards.register.notices.rows import Audience
from referral_rewards.reporting.plain_values import plain

#: In what a reward is, after its amount.
_KINDS: Final = {
    "cash": "",
    "credit": " in account credit",
    "discount": " as a discount",
    "gift_card": " as a gift card",
}


def letter(notice: Any, shown: Mapping[str, Any], terms: Terms, link: str, handed: Sequence[Handed] = ()) -> Letter:
    """The letter of a message, from everything about its referral (`showing.py`). ``link`` is the reader's own, and so
    is what they are ``handed``."""
    told = shown["told"]
    if notice.audience == Audience.APPROVERS:
        rewards = [display(leg["amount_minor"], leg["currency"]) for leg in (shown["claim"] or {}).get("legs", ())]
    else:
        rewards = rewards_of(shown, Side(notice.audience))
    return Letter(
        template=notice.template,
        program=terms.name,
        referral=notice.referral_id,
        began=_began(shown, terms),
        why=told["why"],
        next=told["next"],
        appeal=told["appeal"],
        rewards=rewards,
        link=link,
        handed=handed,
    )


def _began(shown: Mapping[str, Any], terms: Terms) -> str:
    """The day on which it began, by the program's clock: ``10 July 2026``."""
    began_at = datetime.fromisoformat(shown["periods"]["began_at"]).astimezone(terms.zone)
    return f"{began_at.day} {began_at:%B %Y}"


def rewards_of(shown: Mapping[str, Any], side: Side) -> list[str]:
    """What one side was granted, in words."""
    return [
        f"{display(leg['amount_minor'], leg['currency'])}{_KINDS[leg['kind']]}"
        for leg in shown["legs"]
        if leg["role"] == side and leg["state"] != "cancelled"
    ]


#: More than any referral gives rise to, unless it is reopened over and over.
_MAX: Final = 200


async def communication(connection: AsyncConnection, referral: str) -> list[dict[str, Any]]:
    """The newest messages first. ``subject`` and ``text`` are None for what was not written, or was erased since; no
    address is among what is shown."""
    return [plain(row) for row in await connection.execute(_TOLD, {"referral": referral, "limit": _MAX})]


_TOLD: Final = text("""
SELECT n.id AS notice, n.template AS what, n.audience AS to, n.recipient, n.channel, n.planned_at, n.state, n.why,
       n.attempts, n.due_at, n.settled_at, p.body->>'subject' AS subject, p.body->>'text' AS text
FROM notice n LEFT JOIN personal_data p ON p.subject_id = n.id
WHERE n.referral_id = :referral ORDER BY n.planned_at DESC, n.template, n.audience, n.recipient LIMIT :limit
""")
