"""The instructions for the bank that were exported and that nobody has reported on yet."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.reporting.shape import Instant, Shape


class Instruction(Shape):
    """One payment for people to make, and to name ``key`` in as its purpose.

    It was first exported at ``exported_at`` by ``exported_by``; exported again it is the same payment.
    """

    key: str
    payout: UUID
    referral: str | None
    program: str
    payee: str
    destination: str | None
    amount_minor: int
    currency: str
    exported_at: Instant
    exported_by: str


async def instructions(connection: AsyncConnection, after: str | None, limit: int) -> list[Instruction]:
    """Return a page of the instructions that wait for the bank, in the order of their keys.

    One that a fact stopped since, or that somebody reported on, is not among them.
    """
    rows = await connection.execute(_PAGE, {"after": after, "limit": limit})
    return [Instruction.model_validate(row) for row in rows]


# What is shown is what was verified: a row that names something else than its payout is left to the payout's poll.
_PAGE: Final = statement(
    """
SELECT i.key, p.id AS payout, p.referral_id AS referral, i.program, i.payee, i.destination, i.amount_minor, i.currency,
       i.written_at AS exported_at, i.exported_by
FROM payout p JOIN payment_instruction i ON i.key = p.provider_key AND i.payout_id = p.id
WHERE p.state = :accepted AND (CAST(:after AS text) IS NULL OR i.key > :after)
  AND (i.payee, i.amount_minor, i.currency) = (p.payee, p.amount_minor, p.currency)
  AND i.destination IS NOT DISTINCT FROM p.body->>'destination'
ORDER BY i.key LIMIT :limit
""",
    accepted=PayoutState.ACCEPTED,
)
