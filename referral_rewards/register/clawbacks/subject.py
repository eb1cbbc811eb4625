"""A clawback case as the subject of a decision: its digest, the acts possible now, and the amount left to recover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.clawbacks import forgotten_reversals
from referral_rewards.domain.clawbacks.room import Room
from referral_rewards.domain.clawbacks.states import UNDECIDED, CaseState, ClawbackKind, ClawbackState
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind, subject_digest
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.payouts.states import WAS_PAID
from referral_rewards.register import marks, tellers, typed_rows
from referral_rewards.register.clawbacks import carrying_out, forgotten, offsets, returns
from referral_rewards.register.clawbacks.authority import KINDS
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals

_A = MoneyAct


@dataclass(frozen=True, slots=True)
class _Case:
    """A case and its leg: what was paid of it, what no clawback takes, and what its payout can still reverse.

    ``waiting_minor`` is open of its offsets, and has been for too long if ``overdue``. ``in_review`` are its clawbacks
    that wait for a person, of ``made`` in all.
    """

    id: UUID
    referral_id: str
    leg_id: UUID
    state: CaseState
    proposed_minor: int | None
    exchange_order: str | None
    exchange_store: str | None
    program: str
    payee: str
    rail: str
    currency: str
    paid_minor: int
    untaken_minor: int
    waiting_minor: int
    overdue: bool
    reversible_minor: int | None
    taken_before_minor: int
    to_be_asked: bool
    in_review: Sequence[str]
    made: int
    tellers: Mapping[str, Sequence[str]]


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the case under the lock of its referral, of what is planned for the payee of its offsets, and of its row.

    Raises:
        NotFound: if there is no such case.
    """
    case = UUID(asked.subject)
    await referrals.hold_found(connection, _REFERRALS, case)
    await offsets.hold_payees(connection, case)
    await connection.execute(_LOCK, {"id": case})
    return Held(await shown(connection, case, keys), carrying_out.follow)


async def shown(connection: AsyncConnection, case: UUID, keys: KeyRing) -> ActSubject:
    """Return the case as a subject, without a lock.

    Raises:
        NotFound: if there is no such case.
    """
    row = await typed_rows.read_one(connection, _Case, _ROW, {"id": case})
    if row is None:
        raise NotFound("clawback case", str(case))
    return await _subject(connection, row, keys)


async def _subject(connection: AsyncConnection, row: _Case, keys: KeyRing) -> ActSubject:
    """Build the subject. What went back to the payee is there to be taken again."""
    room = _room(row)
    taken = await returns.taken(connection, row.id)
    assert taken is not None
    # The rail pays in steps, too.
    returnable_minor = taken.room_minor // room.step_minor * room.step_minor
    what: Mapping[str, Any] = {
        "case": row.id,
        "leg": row.leg_id,
        "state": row.state,
        "proposed": row.proposed_minor,
        "paid": row.paid_minor,
        "untaken": row.untaken_minor,
        "waiting": [row.waiting_minor, row.overdue],
        "in_review": row.in_review,
        "exchange": str(OrderName(row.exchange_order, row.exchange_store)) if row.exchange_order else None,
        # A recovered amount may be given up again; that changes the case, and so its digest.
        "clawbacks": row.made,
        "recovered": taken.taken_minor,
        "returning": taken.returning_minor,
        "returns_to": taken.destination,
        **({"taken_before": row.taken_before_minor} if row.taken_before_minor else {}),
    }
    rooms = {act: room.amounts[kind] for act, kind in KINDS.items() if kind in room.amounts}
    if returnable_minor > 0 and row.state is not CaseState.FROZEN:
        rooms[_A.RETURN_CLAWBACK] = returnable_minor
    takes = {*rooms, *({_A.DISMISS_CLAWBACK} if row.state in UNDECIDED else ())}
    if row.in_review:
        takes |= {_A.SETTLE_CLAWBACK, _A.REFUSE_CLAWBACK}
    return ActSubject(
        SubjectKind.CLAWBACK_CASE,
        row.id,
        row.referral_id,
        row.program,
        row.currency,
        subject_digest(what),
        frozenset(takes),
        await marks.of_payee(connection, row.payee),
        room_minor=room.untaken_minor,
        rooms=rooms,
        steps={_A.REVERSE_CLAWBACK: room.step_minor, _A.RETURN_CLAWBACK: room.step_minor},
        history=await decisions.history_of(connection, [row.id], keys),
        obstacles=_obstacles(row.rail, row.currency, row.taken_before_minor, to_be_asked=row.to_be_asked),
        told_by=tellers.told_by(row.tellers),
    )


def _room(row: _Case) -> Room:
    # The rail reverses only multiples of its smallest step; the rest can be offset or written off.
    step_minor = rail_catalogue.step_minor(row.rail, row.currency) if row.rail in rail_catalogue.CATALOGUE else 1
    return Room(
        row.state,
        row.untaken_minor,
        row.waiting_minor,
        overdue=row.overdue,
        reversible_minor=row.reversible_minor or 0,
        step_minor=step_minor,
    )


def _obstacles(rail: str, currency: str, taken_before_minor: int, *, to_be_asked: bool) -> Mapping[MoneyAct, str]:
    """Return what must be done before something is kept from later payouts: the rail may have taken it back already."""
    if taken_before_minor:
        why = forgotten_reversals.to_count(rail, taken_before_minor, currency)
        return {_A.OFFSET_CLAWBACK: why, _A.WRITE_OFF_CLAWBACK: why}
    return {_A.OFFSET_CLAWBACK: forgotten_reversals.to_ask(rail)} if to_be_asked else {}


_REFERRALS: Final = text("""
    SELECT id FROM referral WHERE id IN (SELECT referral_id FROM clawback_case WHERE id = :id) ORDER BY id FOR UPDATE
""")

_LOCK: Final = text("SELECT 1 FROM clawback_case WHERE id = :id FOR UPDATE")

# A leg that is not paid yet may become so: its payout's outcome is pending. The amount of its payout that can still be
# reversed is what was sent for all its legs, less all other reversals.
_ROW: Final = statement(
    f"""
    SELECT c.*, l.program, l.beneficiary AS payee, l.rail, l.currency,
           CASE WHEN l.state = ANY(:was_paid) THEN l.amount_minor ELSE 0 END AS paid_minor,
           {offsets.UNTAKEN_MINOR} AS untaken_minor,
           waits.waiting_minor, waits.overdue,
           (SELECT CAST(p.amount_minor - coalesce((
                SELECT sum(taken_by(b)) FROM clawback b WHERE b.payout_id = p.id AND b.kind = :reverse
            ), 0) AS bigint)
            FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id
            WHERE pl.leg_id = c.leg_id AND pl.live) AS reversible_minor,
           ARRAY(SELECT CAST(b.id AS text) FROM clawback b
                 WHERE b.case_id = c.id AND b.state = :in_review ORDER BY b.created_at, b.id) AS in_review,
           (SELECT count(*) FROM clawback b WHERE b.case_id = c.id) AS made,
           coalesce(paid.taken_before_minor, 0) AS taken_before_minor, coalesce(paid.to_be_asked, false) AS to_be_asked,
           {tellers.of_referrals("SELECT c.referral_id")} AS tellers
    FROM clawback_case c JOIN leg l ON l.id = c.leg_id
    CROSS JOIN LATERAL ({offsets.OF_CASE}) AS waits
    LEFT JOIN LATERAL (
        SELECT {forgotten.OPEN_MINOR} AS taken_before_minor, {forgotten.DUE} AS to_be_asked
        FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id WHERE pl.leg_id = c.leg_id AND pl.live
    ) AS paid ON true
    WHERE c.id = :id
""",  # noqa: S608 (queries of ours alone)
    was_paid=WAS_PAID,
    reverse=ClawbackKind.REVERSE,
    in_review=ClawbackState.MANUAL_REVIEW,
)
