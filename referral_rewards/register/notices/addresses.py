"""Where somebody can be written to. An address is looked up when a letter is sent, and stands nowhere else."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.register.notices.rows import Audience
from referral_rewards.register.people import users


async def address_of(
    connection: AsyncConnection, audience: Audience, recipient: str, *, referral: str, program: str
) -> str | None:
    """The newest address that was told of a referrer or a referee, or a user's own; None if there is none."""
    match audience:
        case Audience.APPROVERS:
            return await users.contact(connection, recipient)
        case Audience.REFERRER:
            statement, asked = _OF_REFERRER, {"key": f"referrer:{program}/{recipient}"}
        case Audience.REFEREE:
            statement, asked = _OF_REFEREE, {"referral": referral}
        case Audience.WEBHOOK:
            return None
    found = (await connection.execute(statement, asked)).scalar_one_or_none()
    return found if isinstance(found, str) and found.strip() else None


_OF_REFERRER: Final = text("""
SELECT p.body->>'email' FROM fact_key k JOIN fact f ON f.id = k.fact_id JOIN personal_data p ON p.subject_id = f.id
WHERE k.key = :key AND f.type = 'referrer.enrolled' AND p.body->>'email' IS NOT NULL
ORDER BY f.occurred_at DESC, f.source DESC, f.event_id DESC LIMIT 1
""")

_OF_REFEREE: Final = text("""
SELECT p.body->'referee'->>'email'
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id JOIN personal_data p ON p.subject_id = f.id
WHERE rf.referral_id = :referral AND f.type IN ('referral.sent', 'referral.claimed', 'reward.requested')
  AND p.body->'referee'->>'email' IS NOT NULL
ORDER BY f.type = 'referral.claimed' DESC, f.occurred_at DESC, f.source DESC, f.event_id DESC LIMIT 1
""")
