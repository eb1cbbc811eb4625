"""Clawback cases: a list in pages, one case with its clawbacks and decisions, and what a payee owes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.proposals import to_do
from referral_rewards.domain.clawbacks.states import CLAIMED, CaseState, ClawbackKind, ClawbackState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import WAS_PAID, LegState, PayoutState
from referral_rewards.register import typed_rows
from referral_rewards.register.clawbacks import offsets
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.reporting import decisions
from referral_rewards.reporting.decisions import Actable
from referral_rewards.reporting.shape import Instant, Shape


class ClawbackMade(Shape):
    """A clawback that a person decided on. For a reversal, ``key`` is its idempotency key at the provider; of an
    offset, ``released_minor`` was taken in another way since."""

    clawback: UUID
    kind: ClawbackKind
    amount_minor: int
    recovered_minor: int
    released_minor: int = 0
    state: ClawbackState
    why: str | None
    key: str
    reference: str | None
    first_sent_at: Instant | None
    created_at: Instant
    updated_at: Instant


class Returned(Shape):
    """A payout that returns what the case took wrongly."""

    payout: UUID
    amount_minor: int
    state: PayoutState
    why: str | None
    reference: str | None
    created_at: Instant
    settled_at: Instant | None


class CaseInList(Shape):
    """A case for a paid reward that a later fact made undue.

    ``proposed_minor`` is the amount that the rules propose to recover, null if they can't tell; ``room_minor`` the
    amount of the reward that can still be recovered, and ``waiting_minor`` what the case's offsets still wait for,
    neither kept nor being kept: it can be taken in another way. Of the reward, ``recovered_minor`` was taken back and
    ``written_off_minor`` given up; of what was taken ``returned_minor`` went back to the payee. ``taken_minor`` is what
    was recovered or given up and what is being recovered, less what went back. ``to_do`` what a person must do, null if
    nothing. ``exchange_order`` is another conversion of the offer that would qualify in place of the one
    that was paid for, of the store ``exchange_store`` if one is known, with its net amount ``exchange_minor``.
    """

    case: UUID
    referral: str
    program: str
    leg: UUID
    role: Side
    payee: str
    payout: UUID | None
    rail: str
    state: CaseState
    why: str
    to_do: str | None
    opened_at: Instant
    settled_at: Instant | None
    currency: str
    paid_minor: int
    taken_minor: int
    recovered_minor: int
    written_off_minor: int
    returned_minor: int = 0
    proposed_minor: int | None
    room_minor: int
    waiting_minor: int = 0
    exchange_order: str | None
    exchange_store: str | None
    exchange_minor: int | None
    exchange_currency: str | None
    clawbacks: tuple[ClawbackMade, ...]
    returns: tuple[Returned, ...] = ()


class CaseShown(CaseInList, Actable):
    """A case with its decisions and its current digest. ``amount_minor`` is the reward's amount."""

    referral: str
    room_minor: int
    amount_minor: int


class RewardShown(Actable):
    """A reward of which a case can be opened. Of ``paid_minor``, ``recovered_minor`` was taken back and
    ``written_off_minor`` given up; ``returned_minor`` went back to the payee, and ``room_minor`` is what can still be
    taken."""

    referral: str
    room_minor: int
    role: Side
    payee: str
    rail: str
    state: LegState
    currency: str
    amount_minor: int
    paid_minor: int
    recovered_minor: int
    written_off_minor: int
    returned_minor: int


class Owed(Shape):
    """What a payee owes in one currency, in minor units: the total, the part being reversed at providers, the part to
    offset against later payouts, and the part of that which payouts under way already keep."""

    currency: str
    owed_minor: int
    reversing_minor: int
    offsetting_minor: int
    kept_minor: int


async def case(connection: AsyncConnection, number: UUID, keys: KeyRing) -> CaseShown:
    """Return one case with its decisions and its current digest.

    Raises:
        NotFound: if there is no such case.
    """
    row = await typed_rows.read_one(connection, CaseRow, _CASE, {"id": number})
    if row is None:
        raise NotFound("clawback case", str(number))
    (found,) = await in_list(connection, [row])
    to_decide = await decisions.actable(connection, SubjectKind.CLAWBACK_CASE, number, keys)
    return CaseShown(**{**dict(found), "amount_minor": row.amount_minor, **dict(to_decide)})


async def reward(connection: AsyncConnection, leg: UUID, keys: KeyRing) -> RewardShown:
    """Return one reward, with its current digest.

    Raises:
        NotFound: if there is no such reward.
    """
    to_decide = await decisions.actable(connection, SubjectKind.REWARD, leg, keys)
    row = (await connection.execute(_REWARD, {"id": leg})).mappings().one()
    return RewardShown(**{**row, **dict(to_decide)})


async def owed(connection: AsyncConnection, payee: str) -> list[Owed]:
    """Return what a payee owes, by currency."""
    return [Owed.model_validate(row) for row in await connection.execute(_OWED, {"payee": payee})]


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as `COLUMNS` reads it."""

    id: UUID
    referral_id: str
    program: str
    leg_id: UUID
    role: Side
    payee: str
    payout_id: UUID | None
    rail: str
    state: CaseState
    why: str
    opened_at: datetime
    settled_at: datetime | None
    currency: str
    amount_minor: int
    paid_minor: int
    taken_minor: int
    recovered_minor: int
    written_off_minor: int
    returned_minor: int
    waiting_minor: int
    overdue: bool
    proposed_minor: int | None
    exchange_order: str | None
    exchange_store: str | None
    exchange_minor: int | None
    exchange_currency: str | None


async def in_list(connection: AsyncConnection, rows: Sequence[CaseRow]) -> list[CaseInList]:
    """Return cases as lists show them, in their order, with their clawbacks and returns."""
    made: dict[UUID, list[ClawbackMade]] = {row.id: [] for row in rows}
    for each in await connection.execute(_CLAWBACKS, {"ids": list(made)}) if made else ():
        made[each.case_id].append(ClawbackMade.model_validate(each))
    back: dict[UUID, list[Returned]] = {row.id: [] for row in rows}
    for each in await connection.execute(_RETURNS, {"ids": list(made)}) if made else ():
        back[each.case_id].append(Returned.model_validate(each))
    return [_in_list(row, made[row.id], back[row.id]) for row in rows]


def _in_list(row: CaseRow, made: list[ClawbackMade], back: list[Returned]) -> CaseInList:
    room_minor = row.paid_minor - row.taken_minor
    review = [each.key for each in made if each.state is ClawbackState.MANUAL_REVIEW]
    exchange = exchange_of(row.exchange_order, row.exchange_store, row.exchange_minor, row.exchange_currency)
    return CaseInList(
        case=row.id,
        referral=row.referral_id,
        program=row.program,
        leg=row.leg_id,
        role=row.role,
        payee=row.payee,
        payout=row.payout_id,
        rail=row.rail,
        state=row.state,
        why=row.why,
        to_do=to_do(
            row.state,
            room_minor=room_minor,
            keys_in_review=review,
            exchange=exchange,
            overdue=display(row.waiting_minor, row.currency) if row.overdue else None,
        ),
        opened_at=row.opened_at,
        settled_at=row.settled_at,
        currency=row.currency,
        paid_minor=row.paid_minor,
        taken_minor=row.taken_minor,
        recovered_minor=row.recovered_minor,
        written_off_minor=row.written_off_minor,
        returned_minor=row.returned_minor,
        proposed_minor=row.proposed_minor,
        room_minor=room_minor,
        waiting_minor=row.waiting_minor,
        exchange_order=row.exchange_order,
        exchange_store=row.exchange_store,
        exchange_minor=row.exchange_minor,
        exchange_currency=row.exchange_currency,
        clawbacks=tuple(made),
        returns=tuple(back),
    )


def exchange_of(order: str | None, store: str | None, amount_minor: int | None, currency: str | None) -> str | None:
    """Return in words which conversion would qualify in place of the one that was paid for; None: there is none."""
    if order is None:
        return None
    amount = "" if amount_minor is None or currency is None else f" ({display(amount_minor, currency)})"
    return f"order {OrderName(order, store)}{amount}"


#: What `CaseRow` is read from: its columns, the case with its reward, and what was done about it.
COLUMNS: Final = spelled(
    """c.*, l.program, l.role, l.beneficiary AS payee, l.amount_minor, l.currency, l.rail, pl.payout_id,
       CASE WHEN l.state IN :was_paid THEN l.amount_minor ELSE 0 END AS paid_minor,
       of_leg.*, waits.*""",
    was_paid=WAS_PAID,
)
CASE: Final = "clawback_case c JOIN leg l ON l.id = c.leg_id"
BESIDE: Final = spelled(
    f"""
LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
CROSS JOIN LATERAL (
    SELECT CAST(coalesce(sum(taken_by(b)), 0) - returned_of(c.leg_id) AS bigint) AS taken_minor,
           returned_of(c.leg_id) AS returned_minor,
           CAST(coalesce(sum(b.recovered_minor), 0) AS bigint) AS recovered_minor,
           CAST(coalesce(sum(b.amount_minor) FILTER (WHERE b.state = :written_off), 0) AS bigint) AS written_off_minor
    FROM clawback b WHERE b.leg_id = c.leg_id
) AS of_leg
CROSS JOIN LATERAL ({offsets.OF_CASE}) AS waits
""",  # noqa: S608 (a query of ours)
    written_off=ClawbackState.WRITTEN_OFF,
)
_CASE: Final = text(f"SELECT {COLUMNS} FROM {CASE} {BESIDE} WHERE c.id = :id")  # noqa: S608 (constants of ours)

_REWARD: Final = statement(
    """
SELECT l.role, l.beneficiary AS payee, l.rail, l.state, l.currency, l.amount_minor,
       CASE WHEN l.state = ANY(:was_paid) THEN l.amount_minor ELSE 0 END AS paid_minor,
       CAST(coalesce(sum(b.recovered_minor), 0) AS bigint) AS recovered_minor,
       CAST(coalesce(sum(b.amount_minor) FILTER (WHERE b.state = :written_off), 0) AS bigint) AS written_off_minor,
       returned_of(l.id) AS returned_minor
FROM leg l LEFT JOIN clawback b ON b.leg_id = l.id WHERE l.id = :id GROUP BY l.id
""",
    was_paid=WAS_PAID,
    written_off=ClawbackState.WRITTEN_OFF,
)

_CLAWBACKS: Final = text("""
SELECT case_id, id AS clawback, kind, amount_minor, recovered_minor, released_minor, state, why, provider_key AS key,
       provider_reference AS reference, first_sent_at, created_at, updated_at
FROM clawback WHERE case_id = ANY(CAST(:ids AS uuid[])) ORDER BY created_at, id
""")

_RETURNS: Final = text("""
SELECT returns AS case_id, id AS payout, amount_minor, state, why, provider_reference AS reference, created_at,
       settled_at
FROM payout WHERE returns = ANY(CAST(:ids AS uuid[])) ORDER BY created_at, id
""")

_OWED: Final = statement(
    """
SELECT b.currency, CAST(sum(left_minor) AS bigint) AS owed_minor,
       CAST(coalesce(sum(left_minor) FILTER (WHERE b.kind = :reverse), 0) AS bigint) AS reversing_minor,
       CAST(coalesce(sum(left_minor) FILTER (WHERE b.kind = :offset), 0) AS bigint) AS offsetting_minor,
       CAST(sum(kept_of(b)) AS bigint) AS kept_minor
FROM clawback b
CROSS JOIN LATERAL (SELECT b.amount_minor - b.recovered_minor - b.released_minor AS left_minor) AS open
WHERE b.payee = :payee AND b.state = ANY(:claimed)
GROUP BY b.currency ORDER BY b.currency
""",
    reverse=ClawbackKind.REVERSE,
    offset=ClawbackKind.OFFSET,
    claimed=CLAIMED,
)
