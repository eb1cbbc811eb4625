"""Give a payout the next generation of its key (`domain.decisions.key_releases` says what that takes)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.decisions.key_releases import earlier_keys, of_generation, waits_for_funds_alone
from referral_rewards.domain.payouts.moving import Earlier
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import PayoutState, provider_key
from referral_rewards.register import payout_history
from referral_rewards.register.payouts import rows as payout_rows


async def earlier(connection: AsyncConnection, payout: Payout) -> Sequence[Earlier]:
    """Return the keys before the current one, oldest first."""
    return () if payout.generation == 1 else earlier_keys(payout, await payout_history.of(connection, payout.id))


async def begin_next(connection: AsyncConnection, payout: Payout, now: datetime) -> None:
    """Give the payout the next generation of its key, unused so far. The caller has recorded who released it."""
    generation = payout.generation + 1
    asked = {"id": payout.id, "generation": generation, "key": provider_key(payout.id, generation), "at": now}
    await connection.execute(_NEXT, asked)


async def top_up(connection: AsyncConnection, payout: UUID, generation: int, now: datetime) -> bool:
    """Release the next generation of a payout that waits for funds; False if it has moved since."""
    found = await payout_rows.hold_alone(connection, payout)
    assert found is not None
    if found.state != PayoutState.WAITING_FUNDS or found.generation != generation:
        return False
    its = of_generation(await payout_history.of(connection, payout), generation)
    if not waits_for_funds_alone(found, its):
        return False
    await payout_history.append(
        connection, payout, generation, now, payout_history.TOPPED_UP, "the account holds enough for it now"
    )
    await begin_next(connection, found, now)
    return True


_NEXT: Final = statement(
    """
UPDATE payout SET generation = :generation, provider_key = :key, state = :approved, why = NULL, key_used_at = NULL,
                  missed_at = NULL, provider_reference = NULL, settled_at = NULL, due_at = :at, updated_at = :at
WHERE id = :id
""",
    approved=PayoutState.APPROVED,
)
