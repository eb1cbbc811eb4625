"""Carry out decisions on clawback cases: create the clawback, and mark legs that are recovered in full.

An offset or a write-off needs no provider and is done in the transaction that records the decision. A reversal at the
provider is carried out by a workflow (`reversals`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ClawbackRow
from models.statuses import statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.clawbacks.room import out_of_offsets_minor, spread
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackKind, ClawbackState, clawback_id
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import FREED, WAS_PAID, LegState, body_hash, provider_key
from referral_rewards.register import outbox, typed_rows
from referral_rewards.register.books import ledger
from referral_rewards.register.clawbacks import offsets, returns, reversals
from referral_rewards.register.clawbacks.authority import KINDS
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.outbox import WakeupKind

_STATES: Final = {
    ClawbackKind.REVERSE: ClawbackState.APPROVED,
    ClawbackKind.OFFSET: ClawbackState.OFFSETTING,
    ClawbackKind.WRITE_OFF: ClawbackState.WRITTEN_OFF,
}


@dataclass(frozen=True, slots=True)
class _Case:
    """The case of a leg, the payout that paid it (all None if none does now), and what its clawbacks take so far.

    ``untaken_minor`` is the part of the leg that no clawback of any case takes."""

    id: UUID
    referral_id: str
    leg_id: UUID
    state: CaseState
    proposed_minor: int | None
    program: str
    payee: str
    currency: str
    payout_id: UUID | None
    body: Mapping[str, object] | None
    provider_reference: str | None
    taken_of_case_minor: int
    untaken_minor: int


async def follow(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    """Carry out a decision on a case.

    The caller holds the rows of the referral and the case, and has just recorded the decision.
    """
    case = await typed_rows.read_one(connection, _Case, _CASE, {"id": decision.claim_id})
    assert case is not None
    details = decision.details or {}
    match decision.kind:
        case MoneyAct.DISMISS_CLAWBACK:
            await _settle_case(connection, case, CaseState.DISMISSED, now)
        case MoneyAct.SETTLE_CLAWBACK:
            await reversals.found_by_a_person(connection, case.id, now, reference=details["reference"])
        case MoneyAct.REFUSE_CLAWBACK:
            await reversals.found_by_a_person(connection, case.id, now, reference=None)
        case MoneyAct.RETURN_CLAWBACK:
            await returns.plan(connection, decision, int(details["amount_minor"]), now)
        case _:
            await _beget(connection, case, decision, int(details["amount_minor"]), now)
    await effects.record(connection, [decision.id], "applied", now, f"case {case.id}")
    await outbox.enqueue(connection, WakeupKind.DECISION, case.referral_id, decision.id)


async def close_legs(connection: AsyncConnection, referral: str) -> None:
    """Mark the referral's legs that were recovered in full, and unmark those of which a part was given back.

    The order of a marked leg may be rewarded again, and it no longer counts against caps and budget. What was written
    off, or is owed and not kept yet, was not recovered: its leg stands. So does a leg of which a part is returned. The
    caller holds the referral's row.
    """
    await connection.execute(_CLOSE_LEGS, {"referral": referral})


async def _beget(
    connection: AsyncConnection, case: _Case, decision: Decision, amount_minor: int, now: datetime
) -> None:
    assert isinstance(decision.kind, MoneyAct)
    kind, name = KINDS[decision.kind], clawback_id(decision.id)
    released_minor = await _release(connection, case, decision, amount_minor, now)
    body = {
        "clawback": str(name),
        "pays_back": case.body,
        "reference": case.provider_reference,
        "amount_minor": amount_minor,
        "currency": case.currency,
    }
    await connection.execute(
        insert(ClawbackRow).values(
            id=name,
            case_id=case.id,
            leg_id=case.leg_id,
            payout_id=case.payout_id,
            referral_id=case.referral_id,
            payee=case.payee,
            kind=kind,
            amount_minor=amount_minor,
            currency=case.currency,
            recovered_minor=0,
            body=body,
            body_hash=body_hash(body),
            generation=1,
            provider_key=provider_key(name, 1),
            state=_STATES[kind],
            decision_id=decision.id,
            created_at=now,
            updated_at=now,
        )
    )
    claim = (str(name), case.program, case.payee, amount_minor, case.currency)
    await _post(connection, case, books.claimed_back(*claim), now)
    if kind is ClawbackKind.WRITE_OFF:
        await _post(connection, case, books.written_off(*claim), now)
    if kind is ClawbackKind.REVERSE:
        await outbox.enqueue(connection, WakeupKind.CLAWBACK_DUE, str(name), name)
    # The case stays open while a part of the proposed amount is undecided; a closed one stays closed.
    taken_minor = case.taken_of_case_minor - released_minor + amount_minor
    waits = case.state is CaseState.OPEN and (case.proposed_minor or 0) > taken_minor
    await _settle_case(connection, case, CaseState.OPEN if waits else CaseState.DECIDED, now)


async def _release(
    connection: AsyncConnection, case: _Case, decision: Decision, amount_minor: int, now: datetime
) -> int:
    """Release what the decision takes out of the case's offsets, and return how much that is."""
    released_minor = out_of_offsets_minor(amount_minor, case.state, case.untaken_minor)
    if not released_minor:
        return 0
    parts = spread(released_minor, await offsets.waiting(connection, case.id))
    why = f"instead of keeping {display(released_minor, case.currency)}: {label('decided', decision.kind)}"
    await offsets.release(connection, parts, now, why=why)
    moved = books.claim_moved(str(clawback_id(decision.id)), case.program, case.payee, released_minor, case.currency)
    await _post(connection, case, moved, now)
    return released_minor


async def _settle_case(connection: AsyncConnection, case: _Case, state: CaseState, now: datetime) -> None:
    asked = {"id": case.id, "state": state, "settled_at": None if state is CaseState.OPEN else now}
    await connection.execute(_SETTLE_CASE, asked)


async def _post(connection: AsyncConnection, case: _Case, entry: books.Entry, now: datetime) -> None:
    await ledger.post(connection, entry, program=case.program, referral=case.referral_id, at=now)


_CASE: Final = statement(
    f"""
SELECT c.*, l.program, l.beneficiary AS payee, l.currency, p.id AS payout_id, p.body, p.provider_reference,
       CAST(coalesce((SELECT sum(taken_by(b)) FROM clawback b WHERE b.case_id = c.id), 0) AS bigint)
           AS taken_of_case_minor,
       {offsets.UNTAKEN_MINOR} AS untaken_minor
FROM clawback_case c JOIN leg l ON l.id = c.leg_id
LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live LEFT JOIN payout p ON p.id = pl.payout_id
WHERE c.id = :id
""",  # noqa: S608 (queries of ours alone)
    was_paid=WAS_PAID,
)

_SETTLE_CASE: Final = text("UPDATE clawback_case SET state = :state, settled_at = :settled_at WHERE id = :id")

# A leg whose order, or whose side of the referral, was rewarded anew meanwhile stays marked: two can't stand.
_CLOSE_LEGS: Final = statement(
    """
UPDATE leg SET state = CASE WHEN state = :paid THEN :clawed_back ELSE :paid END
FROM (
    SELECT l.id, l.amount_minor <= coalesce(sum(b.recovered_minor), 0) - returning_of(l.id) AS recovered
    FROM leg l LEFT JOIN clawback b ON b.leg_id = l.id WHERE l.referral_id = :referral GROUP BY l.id
) AS its
WHERE leg.id = its.id AND (
    leg.state = :paid AND its.recovered
    OR leg.state = :clawed_back AND NOT its.recovered AND NOT EXISTS (
        SELECT 1 FROM leg o
        WHERE NOT o.state = ANY(:freed)
          AND ((o.program, o.order_key, o.role) = (leg.program, leg.order_key, leg.role)
                  AND one_order(o.stores, leg.stores)
               OR (o.referral_id, o.role) = (leg.referral_id, leg.role))
    )
)
""",
    clawed_back=LegState.CLAWED_BACK,
    paid=LegState.PAID,
    freed=FREED,
)
