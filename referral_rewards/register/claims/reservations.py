"""Reserve what an approval grants, and cancel it when the approval no longer holds: legs, accruals and payouts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import LegRow
from models.statuses import spelled, statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import TaxPosition
from referral_rewards.domain.claims.reserving import Ground, Reservation, pays_at_once, whereabouts_of
from referral_rewards.domain.payouts.destinations import Whereabouts
from referral_rewards.domain.payouts.payout import Payout, ReservedLeg
from referral_rewards.domain.payouts.states import FREED, OWED, UNSENT, WAS_PAID, LegState, PayoutState
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox, typed_rows
from referral_rewards.register.books import ledger
from referral_rewards.register.claims import method_waits
from referral_rewards.register.cycles import legs as cycle_legs
from referral_rewards.register.decisions import effects
from referral_rewards.register.locks import Lock, dump, lock_each, payee_locks
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payees import deductions, planning, tax_holds
from referral_rewards.register.payees import rows as payees
from referral_rewards.register.payees.planning import plan_own

_legs = LegRow.__table__  # type: ignore[attr-defined]


#: These are planned once nothing else stops them; a leg that waits for a method is not.
_DUE: Final = OWED - {LegState.WAITING_METHOD}
_RESERVED_LEGS: Final = TypeAdapter(tuple[ReservedLeg, ...])


async def legs_of(connection: AsyncConnection, referral: str) -> Sequence[ReservedLeg]:
    """Return the referral's legs, without cancelled ones."""
    return await typed_rows.read(connection, ReservedLeg, _LEGS, {"referral": referral})


def standing_legs(documents: Sequence[Mapping[str, Any]]) -> tuple[ReservedLeg, ...]:
    """Return legs from what a statement aggregated as JSON over `LEGS`."""
    return _RESERVED_LEGS.validate_python(documents)


@dataclass(frozen=True, slots=True)
class PayoutOfLeg(Payout):
    """A payout, and the leg that it pays: its role, its claim, the digest that was approved, by which decisions."""

    role: str
    claim_id: UUID
    leg_digest: str
    decisions: Sequence[str]


async def payouts_of(connection: AsyncConnection, referral: str) -> Sequence[PayoutOfLeg]:
    """Return the referral's payouts, sorted by id, each with the leg that it pays."""
    return await typed_rows.read(connection, PayoutOfLeg, _PAYOUTS, {"referral": referral})


async def hold(connection: AsyncConnection, case: Case, claim: RewardClaim) -> None:
    """Lock what an approval of the claim reserves from: the program's caps and budget, the order, and, where the legs
    are planned at once, the payees.

    The locks last until the transaction ends. The caller holds the referral's row.
    """
    payees = {leg.beneficiary for leg in claim.legs if leg.beneficiary} if pays_at_once(case.terms) else ()
    await lock_each(
        connection,
        [
            (Lock.RESERVATION, claim.program),
            (Lock.REWARDED_ORDER, order_key(case.row)),
            *payee_locks(payees),
        ],
    )


async def ground(connection: AsyncConnection, case: Case, claim: RewardClaim, tax: Mapping[str, TaxPosition]) -> Ground:
    """Return what reserving the claim depends on. ``tax`` was read under the locks of `hold`, as this is."""
    payees_ = sorted({leg.beneficiary for leg in claim.legs if leg.beneficiary})
    asked = {
        "referral": case.row.id,
        "program": claim.program,
        "order": _order_key(case),
        "stores": _stores(case),
        "roles": [leg.role for leg in claim.legs],
        "payees": payees_,
    }
    found = (await connection.execute(_GROUND, asked)).one()
    return Ground(
        legs_ever=found.legs_ever,
        is_rewarded=found.is_rewarded,
        tax=tax,
        forms=payees.filed(payees_, found.forms),
        offsets=deductions.open_offsets(found.offsets),
        # No redirect can name a leg that is not reserved yet.
        whereabouts=whereabouts_of(case, payees_, ()),
    )


async def save(
    connection: AsyncConnection, case: Case, claim: RewardClaim, reservation: Reservation, approvals: Sequence[UUID]
) -> None:
    """Reserve the legs of an approved claim, book what is owed, plan the payouts that are due and wake their workflows.

    The ``approvals`` count as applied. The caller holds what `hold` locks.

    Raises:
        IntegrityError: if a constraint is violated. It is a bug, or somebody wrote past the locks; judging again tells.
    """
    entries = [
        books.accrued(str(leg.id), claim.program, leg.beneficiary, leg.amount_minor, leg.currency)
        for leg in reservation.legs
    ]
    reserved = {
        "claim_id": case.row.claim_id,
        "digest": claim.digest,
        "referrer": case.origin.referrer or "",
        "order_key": _order_key(case),
        "stores": _stores(case),
        "decisions": [str(each) for each in approvals],
        "legs": dump([{**asdict(leg), "id": str(leg.id)} for leg in reservation.legs]),
    }
    applied = {"ids": [str(each) for each in approvals], "effect": "applied", "why": "reserved"}
    posted = ledger.values_of(entries, program=claim.program, referral=case.row.id, at=case.now)
    await connection.execute(_SAVE, {**reserved, **applied, **posted, **planning.values_of(reservation.payouts)})


def order_key(row: Referral) -> str:
    """Return the key under which a reward for the referral's order is unique in its program, beside its stores."""
    return row.order_id or f"referral:{row.id}"


def _order_key(case: Case) -> str:
    return case.course.conversion.order if case.course.conversion else f"referral:{case.row.id}"


def _stores(case: Case) -> list[str]:
    return list(case.course.conversion.which.in_stores) if case.course.conversion else []


async def plan_due(connection: AsyncConnection, case: Case) -> None:
    """Plan a payout for each leg that is due and has none, and wake the payout's workflow.

    A leg whose payee must file a tax form first waits. If the program pays in cycles, the cycle plans its payouts.
    """
    if not pays_at_once(case.terms):
        return
    legs = await legs_of(connection, case.row.id)
    due = [leg for leg in legs if leg.state in _DUE and leg.payout_id is None]
    waiting = await tax_holds.decide(connection, due, case.now, judging=case.row.id)
    for leg in due:
        if leg.id in waiting:
            continue
        name = await plan_own(connection, leg, case.row.round, PayoutState.APPROVED, None, case.now)
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(name), name)


async def set_aside_former(connection: AsyncConnection, referral: str) -> None:
    """Mark the paid legs as those of a former conversion: the referral is reopened for another. What of them was not
    recovered still stands in caps, budget and books."""
    await connection.execute(_SET_ASIDE, {"referral": referral})


async def cancel(connection: AsyncConnection, case: Case, why: str) -> None:
    """Cancel every reserved leg of which no payment counts, because the approval no longer holds."""
    legs = await legs_of(connection, case.row.id)
    freed = {leg.beneficiary for leg in legs if leg.payout_id is not None and not leg.counts}
    await deductions.hold_payees(connection, freed)
    for leg in legs:
        if leg.counts:
            continue
        await connection.execute(update(_legs).where(_legs.c.id == leg.id).values(state=LegState.CANCELLED))
        entry = books.released(str(leg.id), leg.program, leg.beneficiary, leg.amount_minor, leg.currency)
        await ledger.post(connection, entry, program=leg.program, referral=case.row.id, at=case.now)
        await method_waits.withdraw(connection, leg, why, case.now)
    if freed:
        # The planned amount counted towards the payees' year; legs on tax hold because of it may now be released.
        await tax_holds.wake(connection, freed, besides=case.row.id)


async def stop_unsent(connection: AsyncConnection, case: Case, why: str) -> None:
    """Stop the unsent legs for review by a person: others were sent, so the approval can't be cancelled."""
    await connection.execute(_STOP_UNSENT, {"referral": case.row.id, "why": why, "at": case.now})
    waiting = [leg for leg in await legs_of(connection, case.row.id) if cycle_legs.waits_for_a_cycle(leg)]
    await deductions.hold_payees(connection, [leg.beneficiary for leg in waiting])
    for leg in waiting:
        await cycle_legs.set_aside(connection, leg, leg.payout_id, case.row.round, why, case.now)


async def release_waiting(
    connection: AsyncConnection, case: Case, whereabouts: Mapping[str, Whereabouts]
) -> datetime | None:
    """Release the legs that need no longer wait for a tax form or a payment method, and let those wait that must.

    Returns when another one may be released without new facts or decisions; None if none waits for a form.
    """
    return await release_held(connection, case, await legs_of(connection, case.row.id), whereabouts)


async def release_held(
    connection: AsyncConnection, case: Case, legs: Sequence[ReservedLeg], whereabouts: Mapping[str, Whereabouts]
) -> datetime | None:
    """Do the same with the referral's legs as they stand now."""
    bound = await method_waits.settle(connection, case, legs, whereabouts)
    waiting = [leg for leg in legs if leg.state == LegState.TAX_HOLD]
    if not waiting and not bound:
        return None
    if pays_at_once(case.terms):
        await plan_due(connection, case)
    elif waiting:
        await tax_holds.decide(connection, waiting, case.now, judging=case.row.id)
    still = [leg for leg in await legs_of(connection, case.row.id) if leg.state == LegState.TAX_HOLD]
    return await tax_holds.again_at(connection, still, case.terms.zone, case.now)


#: The legs of one referral's present claim that are not cancelled, each with what a `ReservedLeg` holds.
LEGS: Final = spelled(
    """
SELECT l.*, p.id AS payout_id, p.cycle_id, p.state AS payout_state, p.first_sent_at, p.generation, p.key_used_at
FROM leg l LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live LEFT JOIN payout p ON p.id = pl.payout_id
WHERE l.referral_id = :referral AND l.state <> :cancelled AND NOT l.former ORDER BY l.role
""",
    cancelled=LegState.CANCELLED,
)
_LEGS: Final = text(LEGS)

#: Whether people decided to cancel the payment of the ``:claim``'s legs; they must not be reserved again. It starts
#: from the legs, which are few, and finds the decisions on their payouts.
GIVEN_UP: Final = spelled(
    """EXISTS (
    SELECT 1 FROM leg l
    CROSS JOIN LATERAL (SELECT payout_id FROM payout_leg WHERE leg_id = l.id OFFSET 0) AS pl
    CROSS JOIN LATERAL (
        SELECT id FROM decision WHERE claim_id = pl.payout_id AND kind = 'cancel_payout' OFFSET 0
    ) AS d
    CROSS JOIN LATERAL (
        SELECT 1 FROM decision_effect WHERE decision_id = d.id AND effect = 'applied' OFFSET 0
    ) AS e
    WHERE l.referral_id = :referral AND l.claim_id = CAST(:claim AS uuid) AND l.state = :cancelled
)""",
    cancelled=LegState.CANCELLED,
)

_GROUND: Final = text(
    spelled(
        f"""
SELECT (SELECT count(*) FROM leg WHERE referral_id = :referral) AS legs_ever,
       EXISTS (SELECT 1 FROM leg WHERE program = :program AND order_key = :order
               AND one_order(stores, CAST(:stores AS text[])) AND role = ANY(CAST(:roles AS text[]))
               AND state NOT IN :freed) AS is_rewarded,
       (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM ({payees.FORMS}) AS t) AS forms,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(o.payee, o.currency, o.id, o.open_minor)), '[]')
        FROM ({deductions.OPEN_OFFSETS}) AS o) AS offsets
""",  # noqa: S608 (queries of ours alone)
        freed=FREED,
    )
)

_SAVE: Final = text(f"""
WITH legs AS (
    INSERT INTO leg (id, referral_id, claim_id, digest, program, referrer, order_key, stores, role, beneficiary, kind,
                     amount_minor, currency, rail, destination, state, approved_at, decisions, bound_to)
    SELECT l.id, :referral, :claim_id, :digest, :program, :referrer, :order_key, CAST(:stores AS text[]), l.role,
           l.beneficiary, l.kind,
           l.amount_minor, l.currency, l.rail, l.destination, l.state, CAST(:at AS timestamptz),
           CAST(:decisions AS text[]), l.bound_to
    FROM jsonb_to_recordset(CAST(:legs AS jsonb)) AS l(
        id uuid, role text, beneficiary text, kind text, amount_minor bigint, currency text, rail text,
        destination text, state text, bound_to text)
), {ledger.POSTING_EACH}, {planning.PLANNING}
{effects.NOTE_EFFECT}
""")  # noqa: S608 (words of ours alone)

_SET_ASIDE: Final = statement(
    "UPDATE leg SET former = true WHERE referral_id = :referral AND state = ANY(:was_paid)", was_paid=WAS_PAID
)

_PAYOUTS: Final = text("""
SELECT p.*, l.role, l.claim_id, l.digest AS leg_digest, l.decisions
FROM payouts_of(:referral) AS o JOIN payout p ON p.id = o.payout_id JOIN leg l ON l.id = o.leg_id
ORDER BY l.role DESC, o.live DESC, p.id
""")

_STOP_UNSENT: Final = statement(
    """
UPDATE payout SET state = :stopped, why = :why, updated_at = :at
WHERE referral_id = :referral AND first_sent_at IS NULL AND state = ANY(:unsent)
""",
    stopped=PayoutState.MANUAL_REVIEW,
    unsent=UNSENT,
)
