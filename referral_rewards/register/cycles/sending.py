"""What a payout of a cycle needs beside each leg's approval: that finance released the cycle, and nobody stopped it.

Asked inside the transaction that commits the attempt, of nothing but signatures. A leg whose claim changed leaves the
payout, and the others go on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.cycles.grouping import cycle_id
from referral_rewards.domain.payouts.states import UNSENT, PayoutState
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import outbox
from referral_rewards.register.cycles import legs as cycle_legs
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payees import deductions, tax_holds
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals

_P = PayoutState
#: What was sent before is not sent again while its cycle is stopped; its turn comes once that goes on.
_WHILE_STOPPED: Final = timedelta(minutes=10)

#: Where a payout then stands, why, and when to ask again; None: not before somebody wakes it.
Wait = tuple[PayoutState, str, timedelta | None]


async def hold(connection: AsyncConnection, payout: Any) -> Any | None:
    """The cycle of a payout, so that nothing is decided on it until the transaction ends; None for one of a referral.

    Taken after the referrals' rows and before the payout's.
    """
    if payout.cycle_id is None:
        return None
    await deductions.hold_payees(connection, [payout.payee])
    return await cycles.share(connection, payout.cycle_id)


async def wait(
    connection: AsyncConnection, payout: Any, cycle: Any | None, now: datetime, keys: KeyRing
) -> Wait | None:
    """Why a payout of a cycle, whose row is held, is not to be sent now; None: as far as its cycle goes it may be."""
    if payout.cycle_id is None:
        return None
    state = PayoutState(payout.state)
    if cycle is None or cycle.id != cycle_id(cycle.program, cycle.due_on):
        return await _back(connection, payout, "there is no such cycle", now)
    decided = await cycles.decided(connection, cycle, keys)
    if not decided.may_pay:
        why = _why_not(decided.released_by, stopped=decided.stopped)
        if payout.first_sent_at is None:
            return await _back(connection, payout, why, now)
        return None if state is _P.ACCEPTED else (state, why, _WHILE_STOPPED)
    if state is _P.PLANNED:
        return state, "its cycle is being released", None
    if payout.first_sent_at is None and await cycle_legs.too_little(connection, cycle, payout):
        why = "what is left of it is below the least that is paid in a cycle"
        await cycle_legs.cancel(connection, payout, why, now)
        return _P.CANCELLED, why, None
    return None


async def drop(
    connection: AsyncConnection, referral: Any, legs: Sequence[Any], payout: Any, why: str, now: datetime
) -> None:
    """Takes the legs of a referral out of an unsent payout: their claim changed since it was approved.

    Where nothing of the referral was sent it is judged anew, which takes the approval back or lets the legs wait for
    the next cycle; else they come before a person. The referral and the payout are held.
    """
    for leg in legs:
        if referral.status == ReferralStatus.PAYING:
            await cycle_legs.set_aside(connection, leg, payout.id, referral.round, why, now)
        else:
            await cycle_legs.leave(connection, payout.id, leg.id, why, now)
    if referral.status != ReferralStatus.PAYING:
        await referrals.write(connection, referral, now, claim_version=claims.NEVER_JUDGED)
    # What was planned counted in their year: what waits for a form because of it may go on.
    await tax_holds.wake(connection, {leg.beneficiary for leg in legs}, besides=referral.id)
    await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral.id, payout.id)


def _why_not(released_by: str | None, *, stopped: bool) -> str:
    if stopped:
        return "its cycle is stopped"
    if released_by is None:
        return "its cycle waits for finance to release it"
    return f"{released_by}, who released its cycle, was barred since; another person must stop and resume it"


async def _back(connection: AsyncConnection, payout: Any, why: str, now: datetime) -> Wait:
    """Puts an unsent payout back among those that wait for their cycle."""
    await connection.execute(_BACK, {"id": payout.id, "why": why, "at": now})
    return _P.PLANNED, why, None


_BACK: Final = statement(
    """
UPDATE payout SET state = :planned, why = :why, updated_at = :at
WHERE id = :id AND first_sent_at IS NULL AND state = ANY(:unsent)
""",
    planned=_P.PLANNED,
    unsent=UNSENT,
)
