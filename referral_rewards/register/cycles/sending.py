"""Check that finance released a payout's cycle and nobody stopped it; a payout needs this beside each leg's approval.

The check runs in the transaction that commits the attempt, and relies only on signatures. A leg whose claim changed
leaves the payout; the other legs stay.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.cycles.cycle import Cycle
from referral_rewards.domain.payouts.attempt import CycleStanding
from referral_rewards.domain.payouts.payout import Leg, Payout
from referral_rewards.domain.payouts.states import UNSENT, PayoutState
from referral_rewards.domain.referrals.case import NEVER_JUDGED
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox
from referral_rewards.register.cycles import legs as cycle_legs
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payees import deductions, tax_holds
from referral_rewards.register.referrals import rows as referrals


async def hold(connection: AsyncConnection, payout: Payout) -> Cycle | None:
    """Return the payout's cycle under a shared lock; None if the payout belongs to a referral.

    Lock it after the referrals' rows and before the payout's.
    """
    if payout.cycle_id is None:
        return None
    await deductions.hold_payees(connection, [payout.payee])
    return await cycles.share(connection, payout.cycle_id)


async def standing(
    connection: AsyncConnection, payout: Payout, cycle: Cycle | None, keys: KeyRing
) -> CycleStanding | None:
    """Return how the payout's cycle stands, by its row; None if it is of no cycle. The caller holds the payout."""
    if payout.cycle_id is None:
        return None
    if cycle is None or not cycle.well_named:
        return CycleStanding(exists=False)
    decided = await cycles.decided(connection, cycle, keys)
    unsent = decided.may_pay and payout.first_sent_at is None and payout.state is not PayoutState.PLANNED
    too_little = unsent and await cycle_legs.too_little(connection, cycle, payout)
    return CycleStanding(why_not=decided.why_not, too_little=too_little)


async def drop(
    connection: AsyncConnection, referral: Referral, legs: Sequence[Leg], payout: Payout, why: str, now: datetime
) -> None:
    """Take a referral's legs out of an unsent payout, because their claim changed after its approval.

    If nothing of the referral was sent, it is judged again: the approval becomes void, or the legs wait for the next
    cycle. Otherwise the legs go to a person for review. The caller holds the referral and the payout.
    """
    for leg in legs:
        if referral.status == ReferralStatus.PAYING:
            await cycle_legs.set_aside(connection, leg, payout.id, referral.round, why, now)
        else:
            await cycle_legs.leave(connection, payout.id, leg.id, why, now)
    if referral.status != ReferralStatus.PAYING:
        await referrals.write(connection, referral, now, claim_version=NEVER_JUDGED)
    # The planned amount counted towards the payees' year; legs on tax hold because of it may now be released.
    await tax_holds.wake(connection, {leg.beneficiary for leg in legs}, besides=referral.id)
    await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral.id, payout.id)


async def go_back(connection: AsyncConnection, payout: Payout, why: str, now: datetime) -> None:
    """Put an unsent payout back to planned, where it waits for its cycle."""
    await connection.execute(_BACK, {"id": payout.id, "why": why, "at": now})


_BACK: Final = statement(
    """
UPDATE payout SET state = :planned, why = :why, updated_at = :at
WHERE id = :id AND first_sent_at IS NULL AND state = ANY(:unsent)
""",
    planned=PayoutState.PLANNED,
    unsent=UNSENT,
)
