"""Where money can stand, and what a person can do there: one row for each member of each enum."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import text

from referral_rewards.domain.clawbacks.states import OFFSETS, CaseState, ClawbackKind, ClawbackState
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.payouts.states import LegState, PayoutState, payout_id
from referral_rewards.register.queue import projection
from tests.desk import Desk
from tests.money import CASE, CYCLE, stand

_A, _C, _P, _W = MoneyAct, CaseState, PayoutState, Waits

#: The payout that the rows of payouts are about.
PAYOUT: Final = payout_id("r1", "referee")


@dataclass(frozen=True, slots=True)
class Row:
    """A state, beside what distinguishes it from others of the same name.

    ``waits`` is the exception under which it stands in the queue, with the ``acts`` that it takes. Without one it needs
    nobody: ``needs_nobody`` says why. A row may have both: it stands in the queue and may move on by itself.
    """

    state: StrEnum
    waits: Waits | None = None
    acts: Collection[MoneyAct] = ()
    needs_nobody: str = ""
    sub: str = ""

    def __str__(self) -> str:
        return f"{type(self.state).__name__}.{self.state}{f' ({self.sub})' if self.sub else ''}"


_SEND_AGAIN: Final = (_A.RETRY_PAYOUT, _A.CANCEL_PAYOUT)
_BY_HAND: Final = (_A.CONFIRM_PAYOUT, _A.REFUSE_PAYOUT)
_FOUND: Final = (_A.SETTLE_PAYOUT, _A.REFUSE_PAYOUT)

PAYOUTS: Final = (
    Row(_P.PLANNED, needs_nobody="its cycle is before a person"),
    Row(_P.APPROVED, needs_nobody="its workflow sends it, once its rail is open"),
    Row(_P.APPROVED, _W.PAYOUT_APPROVED, needs_nobody="it is exported for the bank, not decided on", sub="by hand"),
    Row(_P.SENDING, needs_nobody="its provider is asked again"),
    Row(_P.ACCEPTED, needs_nobody="its provider is asked again", sub="by a provider"),
    Row(_P.ACCEPTED, _W.PAYOUT_ACCEPTED, _BY_HAND, sub="by hand"),
    Row(_P.UNKNOWN, _W.PAYOUT_UNKNOWN, needs_nobody="its provider is asked again, and a person at the end"),
    Row(_P.SETTLED, needs_nobody="it is over"),
    Row(_P.CANCELLED, needs_nobody="it is over"),
    Row(_P.WAITING_FUNDS, _W.PAYOUT_WAITING_FUNDS, _SEND_AGAIN),
    Row(_P.REFUSED, _W.PAYOUT_REFUSED, _SEND_AGAIN),
    Row(_P.RETURNED, _W.PAYOUT_RETURNED, _SEND_AGAIN),
    Row(_P.MANUAL_REVIEW, _W.PAYOUT_MANUAL_REVIEW, _SEND_AGAIN, sub="not sent"),
    Row(_P.MANUAL_REVIEW, _W.PAYOUT_MANUAL_REVIEW, _FOUND, sub="sent"),
    Row(_P.MANUAL_REVIEW, _W.PAYOUT_MANUAL_REVIEW, _FOUND, sub="by hand"),
    Row(_P.WAITING_FUNDS, _W.PAYOUT_WAITING_FUNDS, (_A.CANCEL_PAYOUT,), sub="given up"),
    Row(_P.REFUSED, _W.PAYOUT_REFUSED, (_A.CANCEL_PAYOUT,), sub="given up"),
    Row(_P.RETURNED, _W.PAYOUT_RETURNED, (_A.CANCEL_PAYOUT,), sub="given up"),
    Row(_P.MANUAL_REVIEW, _W.PAYOUT_MANUAL_REVIEW, _FOUND, sub="given up"),
)

_RECOVER: Final = (_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK, _A.DISMISS_CLAWBACK)

_AGAIN: Final = (_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK)

CASES: Final = (
    Row(_C.OPEN, _W.CLAWBACK, _RECOVER),
    Row(_C.OPEN, _W.CLAWBACK, (_A.DISMISS_CLAWBACK,), sub="nothing left"),
    Row(_C.DECIDED, acts=(_A.RETURN_CLAWBACK,), needs_nobody="it is over; what it took may go back", sub="taken"),
    Row(_C.FROZEN, needs_nobody="the end of the dispute opens or dismisses it"),
    Row(_C.DECIDED, needs_nobody="its clawbacks are carried out"),
    Row(_C.DISMISSED, needs_nobody="it is over"),
    Row(ClawbackState.MANUAL_REVIEW, _W.CLAWBACK, (_A.SETTLE_CLAWBACK, _A.REFUSE_CLAWBACK)),
    *(
        Row(state, needs_nobody="its workflow asks the provider")
        for state in (ClawbackState.APPROVED, ClawbackState.REVERSING, ClawbackState.UNKNOWN)
    ),
    Row(
        ClawbackState.OFFSETTING,
        acts=(_A.REVERSE_CLAWBACK, _A.WRITE_OFF_CLAWBACK),
        needs_nobody="the payee's next payouts keep it",
    ),
    Row(ClawbackState.OFFSETTING, _W.CLAWBACK, _AGAIN, sub="for 90 days"),
    Row(
        ClawbackState.OFFSETTING,
        _W.CLAWBACK,
        needs_nobody="the payout that keeps it is under way",
        sub="for 90 days, kept by a payout",
    ),
    *(
        Row(state, needs_nobody="it is over; what it did not recover is open in its case")
        for state in (ClawbackState.PARTLY_REVERSED, ClawbackState.UNRECOVERABLE)
    ),
    *(
        Row(state, needs_nobody="it is over")
        for state in (ClawbackState.REVERSED, ClawbackState.OFFSET, ClawbackState.WRITTEN_OFF)
    ),
)

CYCLES: Final = (
    Row(CycleState.COLLECTING, needs_nobody="it gathers until its list is frozen"),
    Row(CycleState.FROZEN, _W.CYCLE, (_A.RELEASE_CYCLE, _A.STOP_CYCLE)),
    Row(CycleState.RELEASED, needs_nobody="its payouts are sent"),
    Row(CycleState.STOPPED, _W.CYCLE, (_A.RESUME_CYCLE,)),
    Row(CycleState.DONE, needs_nobody="it is over"),
)

_REDIRECT: Final = (_A.REDIRECT_PAYEE,)
#: Rewards whose payee has a payment method that nobody has bound, brought there by `tests.stuck.payees`.
METHODS: Final = (
    Row(LegState.WAITING_METHOD, _W.WAITING_METHOD, _REDIRECT, sub="the first one named"),
    Row(LegState.WAITING_METHOD, _W.WAITING_METHOD, _REDIRECT, sub="another one named, the payee told a day ago"),
    Row(LegState.WAITING_METHOD, _W.WAITING_METHOD, _REDIRECT, sub="another one named, one person signed"),
    Row(
        LegState.WAITING_METHOD,
        _W.WAITING_METHOD,
        needs_nobody="the payee may object for 24 hours; then finance binds it",
        sub="another one named, the payee told today",
    ),
    Row(
        LegState.WAITING_METHOD,
        _W.WAITING_METHOD,
        needs_nobody="the payee is told of it first",
        sub="another one named, the payee not told",
    ),
    Row(
        LegState.WAITING_METHOD,
        _W.WAITING_METHOD,
        needs_nobody="the payee is asked for another one",
        sub="one named that the rail can't pay to",
    ),
    Row(PayoutState.APPROVED, _W.WAITING_METHOD, _REDIRECT, sub="released again, the payee has another account"),
)

LEGS: Final = (
    Row(LegState.RESERVED, needs_nobody="its payout pays it, or is before a person"),
    Row(LegState.TAX_HOLD, needs_nobody="the payee is asked for a form, and with it the leg goes on"),
    Row(
        LegState.WAITING_METHOD,
        needs_nobody="the payee is asked for a payment method, and with it finance binds it",
        sub="none named",
    ),
    *METHODS,
    Row(LegState.PAID, needs_nobody="it is over"),
    Row(LegState.CANCELLED, needs_nobody="it is over"),
    Row(LegState.CLAWED_BACK, needs_nobody="it is over"),
)


async def approved(desk: Desk) -> None:
    """An approved referral with both payouts, a clawback case and a cycle; none of these people approved it."""
    assert await desk.referral("r1") == "awaiting_approval"
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    await desk.judge("r1")
    await stand(desk, "r1")
    await _write(desk, ("UPDATE leg SET rail = 'stripe_transfer' WHERE role = 'referrer'", {}))


async def at(desk: Desk, row: Row) -> str:
    """Has it stand there, as answers of rails and decisions would lead to; the address of its subject in the API."""
    match row.state:
        case PayoutState():
            await _payout(desk, row)
            return f"/v1/payouts/{PAYOUT}"
        case CycleState():
            await _write(desk, ("UPDATE payout_cycle SET state = :state", {"state": row.state}))
            return f"/v1/cycles/{CYCLE}"
        case ClawbackState():
            await _clawback(desk, row)
        case _:
            await _write(desk, ("UPDATE clawback_case SET state = :state", {"state": row.state}))
            if row.sub == "taken":
                await _taken_back(desk)
            elif row.sub:
                await _write(desk, ("UPDATE leg SET state = 'reserved'", {}))
    return f"/v1/clawbacks/{CASE}"


async def _payout(desk: Desk, row: Row) -> None:
    said = {"state": row.state, "sent": row.sub != "not sent" and row.state != _P.APPROVED, "id": PAYOUT}
    said["rail"] = "manual" if row.sub == "by hand" else "stripe_transfer" if row.sub == "by a provider" else None
    statements = [(_STAND, said)]
    if row.sub == "given up":
        statements.append(("UPDATE payout_leg SET live = false WHERE payout_id = :id", {"id": PAYOUT}))
        statements.append(("UPDATE leg SET state = 'cancelled' WHERE role = 'referee'", {}))
    await _write(desk, *statements)


async def _clawback(desk: Desk, row: Row) -> None:
    kind = _KIND.get(row.state, ClawbackKind.REVERSE)
    made = {"kind": kind, "recovered": 0, "referral": "r1", "role": "referrer", "state": row.state, "case": CASE}
    statements = [(_CLAWBACK, made), ("UPDATE clawback_case SET state = 'decided'", {})]
    if row.sub:
        statements.append(("UPDATE clawback SET updated_at = now() - interval '91 days'", {}))
    if "kept" in row.sub:
        statements.append((_KEEPS, {"payout": PAYOUT}))
    await _write(desk, *statements)


async def _taken_back(desk: Desk) -> None:
    """All of the reward was reversed at its rail."""
    made = {"kind": ClawbackKind.REVERSE, "referral": "r1", "role": "referrer", "state": ClawbackState.REVERSED}
    amount = "SELECT amount_minor FROM leg WHERE role = 'referrer' AND referral_id = 'r1'"
    async with desk.database.transaction() as connection:
        amount_minor = (await connection.execute(text(amount))).scalar_one()
    await _write(
        desk,
        (_CLAWBACK, {**made, "case": CASE, "recovered": amount_minor}),
        ("UPDATE leg SET state = 'clawed_back' WHERE role = 'referrer'", {}),
    )


_KIND: Final = {
    **dict.fromkeys(OFFSETS, ClawbackKind.OFFSET),
    ClawbackState.WRITTEN_OFF: ClawbackKind.WRITE_OFF,
}


async def _write(desk: Desk, *statements: tuple[str, dict[str, object]]) -> None:
    async with desk.database.transaction() as connection:
        for statement, said in statements:
            await connection.execute(text(statement), said)
        await projection.keep(connection, "r1")
        await projection.keep_cycle(connection, CYCLE)


_STAND: Final = """
UPDATE payout SET state = CAST(:state AS text), why = 'as it came out', rail = coalesce(CAST(:rail AS text), rail),
       updated_at = now() - interval '2 hours',
       first_sent_at = CASE WHEN CAST(:sent AS boolean) THEN now() END,
       key_used_at = CASE WHEN CAST(:sent AS boolean) THEN now() END
WHERE id = :id
"""
_KEEPS: Final = """
INSERT INTO payout_deduction (payout_id, kind, source, amount_minor, live)
SELECT :payout, 'offset', CAST(id AS text), amount_minor, true FROM clawback
"""
_CLAWBACK: Final = """
INSERT INTO clawback (id, case_id, leg_id, payout_id, referral_id, payee, kind, amount_minor, currency, recovered_minor,
                      body, body_hash, generation, provider_key, state, decision_id, first_sent_at, created_at,
                      updated_at)
SELECT gen_random_uuid(), :case, l.id, pl.payout_id, l.referral_id, l.beneficiary, :kind, l.amount_minor, l.currency,
       :recovered, '{}', '', 1, gen_random_uuid(), :state, gen_random_uuid(), now(), now(), now()
FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live WHERE l.referral_id = :referral AND l.role = :role
"""
