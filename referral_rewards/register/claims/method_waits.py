"""Let legs wait for a payment method, and let them go on once one is bound (SPEC §7 "Who is paid where")."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.payouts.destinations import NOWHERE, Whereabouts
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import OWED, UNSENT, LegState, PayoutState
from referral_rewards.domain.referrals.case import Case
from referral_rewards.register.cycles import legs as cycle_legs
from referral_rewards.register.payees import deductions, tax_holds

_WHY: Final = "the payee's payment method is another one now"


async def settle(
    connection: AsyncConnection, case: Case, legs: Sequence[ReservedLeg], whereabouts: Mapping[str, Whereabouts]
) -> bool:
    """Let each unsent leg wait or go on as its payee's methods and the redirects say. Return whether one goes on.

    A leg that begins to wait leaves its payout, which is not sent. The caller holds the referral's row, and plans what
    goes on.
    """
    begin: list[ReservedLeg] = []
    end: dict[ReservedLeg, str | None] = {}
    for leg in (each for each in legs if _is_unsent(each)):
        its = whereabouts.get(leg.beneficiary, NOWHERE)
        where, waits = its.settled(leg.id, leg.rail, leg.destination, case.now)
        if waits and leg.state is not LegState.WAITING_METHOD:
            begin.append(leg)
        if not waits and leg.state is LegState.WAITING_METHOD:
            end[leg] = where
    if begin or end:
        await deductions.hold_payees(connection, sorted({leg.beneficiary for leg in (*begin, *end)}))
    for leg in begin:
        await withdraw(connection, leg, _WHY, case.now)
        await connection.execute(_WAIT, {"leg": leg.id})
    if freed := {leg.beneficiary for leg in begin if leg.payout_id is not None}:
        # The planned amount counted towards the payees' year; legs on tax hold because of it may now be released.
        await tax_holds.wake(connection, freed, besides=case.row.id)
    for leg, where in end.items():
        await connection.execute(_GO_ON, {"leg": leg.id, "to": None if where == leg.destination else where})
    return bool(end)


async def withdraw(connection: AsyncConnection, leg: ReservedLeg, why: str, at: datetime) -> None:
    """Take an unsent leg out of the payout that was to pay it, if there is one. The caller holds its payee."""
    if leg.payout_id is None:
        return
    if leg.cycle_id is not None:
        await cycle_legs.leave(connection, leg.payout_id, leg.id, why, at)
        return
    await connection.execute(_UNLINK, {"leg": leg.id})
    await deductions.free(connection, leg.payout_id)
    await connection.execute(_CANCEL, {"payout": leg.payout_id, "why": why, "at": at})


def _is_unsent(leg: ReservedLeg) -> bool:
    """Return whether a leg is owed, and nothing of it was sent nor stopped for a person."""
    planned = leg.payout_id is None or (leg.payout_state in UNSENT and leg.first_sent_at is None)
    return leg.state in OWED and planned


_WAIT: Final = statement(
    "UPDATE leg SET state = :waiting, bound_to = NULL WHERE id = :leg", waiting=LegState.WAITING_METHOD
)

_GO_ON: Final = statement(
    "UPDATE leg SET state = :reserved, bound_to = :to WHERE id = :leg", reserved=LegState.RESERVED
)

_UNLINK: Final = text("UPDATE payout_leg SET live = false WHERE leg_id = :leg AND live")

_CANCEL: Final = statement(
    "UPDATE payout SET state = :cancelled, why = :why, updated_at = :at WHERE id = :payout",
    cancelled=PayoutState.CANCELLED,
)
