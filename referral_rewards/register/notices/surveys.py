"""Whether somebody was asked before how satisfied they are with a referral, and has answered (SPEC §8)."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.notices import contact
from referral_rewards.domain.notices.contact import NoticeState, Template
from referral_rewards.register.notices.rows import Notice


async def needless(connection: AsyncConnection, notice: Notice) -> str | None:
    """Return why this survey is not sent, in a sentence; None if it is the first, and its reader has not answered."""
    asked = {"id": notice.id, "referral": notice.referral_id, "side": notice.audience}
    before = (await connection.execute(_SENT, asked)).scalar_one()
    return contact.asked_enough(
        asked=before, answered=await answered(connection, notice.referral_id, Side(notice.audience))
    )


async def answered(connection: AsyncConnection, referral: str, side: Side) -> bool:
    """Return whether that side has answered, on their page or in another system that told us. Who is not named is the
    referrer."""
    return bool((await connection.execute(_ANSWERED, {"referral": referral, "side": side})).scalar_one())


_SENT: Final = statement(
    """
SELECT EXISTS (
    SELECT 1 FROM notice
    WHERE referral_id = :referral AND template = :survey AND audience = :side AND state = :sent AND id <> :id
)
""",
    survey=Template.SATISFACTION_SURVEY,
    sent=NoticeState.SENT,
)

_ANSWERED: Final = text(f"""
SELECT EXISTS (
    SELECT 1 FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id
    WHERE rf.referral_id = :referral AND f.type = '{FactType.SATISFACTION_RATED}'
      AND coalesce(f.data->>'by', '{Side.REFERRER}') = :side
)
""")  # noqa: S608 (words of ours alone)
