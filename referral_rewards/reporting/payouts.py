"""Payouts: a list in pages, and one payout with its whole history."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.decisions.redirect_advice import instead
from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.advice import to_do
from referral_rewards.domain.payouts.destinations import needs_method
from referral_rewards.domain.payouts.moving import not_connected
from referral_rewards.domain.payouts.states import WAITING_FOR_ITS_RAIL, PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.register import typed_rows
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import array
from referral_rewards.register.payees import subject
from referral_rewards.register.payouts.endings import GIVEN_UP
from referral_rewards.reporting import decisions, rails
from referral_rewards.reporting.decisions import Actable
from referral_rewards.reporting.shape import Instant, Shape


class PayoutInList(Shape):
    """A payout: one provider call, for one reward or, in a payout cycle, for several rewards of one payee.

    ``to_do`` is what a person must do, null if nothing; ``key`` is the idempotency key at the provider, ``reference``
    the provider's own id. ``amount_minor`` is the amount sent: its rewards less its deductions. A payout that
    ``returns`` what this clawback case took pays no reward.
    """

    payout: UUID
    referral: str | None
    cycle: UUID | None
    returns: UUID | None = None
    program: str
    payee: str
    rail: str
    amount_minor: int
    currency: str
    state: PayoutState
    why: str | None
    to_do: str | None
    generation: int
    key: str
    reference: str | None
    destination: str | None
    first_sent_at: Instant | None
    settled_at: Instant | None
    created_at: Instant
    updated_at: Instant


class LegPaid(Shape):
    """A reward that the payout pays; if not ``live``, it was taken out of the payout again."""

    leg: UUID
    referral: str
    role: Side
    kind: RewardKind
    amount_minor: int
    currency: str
    state: str
    live: bool


class Deduction(Shape):
    """A deduction from the payout: an offset for the clawback ``source``, or withheld under that tax regime."""

    kind: DeductionKind
    source: str
    amount_minor: int
    live: bool


class PayoutStep(Shape):
    """A step in the payout's history: the act, its outcome, and the state at that time."""

    generation: int
    at: Instant
    act: str
    state: PayoutState
    why: str | None
    reference: str | None


_Part = TypeVar("_Part", LegPaid, Deduction, PayoutStep)


class PayoutLife(PayoutInList):
    """A payout with the rewards that it pays, its deductions and its steps."""

    legs: tuple[LegPaid, ...]
    deductions: tuple[Deduction, ...]
    steps: tuple[PayoutStep, ...]


class PayoutShown(PayoutLife, Actable):
    """A payout with its legs, deductions, steps and decisions, and its current digest.

    ``redirectable``: the payee has another destination on its rail now, and `/v1/redirects` binds what it pays to that.
    """

    redirectable: bool = False


#: A payout of another state pays to where it was frozen for, or is judged anew first.
_MAY_HAVE_MOVED: Final = frozenset({PayoutState.REFUSED, PayoutState.RETURNED, PayoutState.APPROVED})


async def payout(connection: AsyncConnection, number: UUID, keys: KeyRing) -> PayoutShown:
    """Return one payout.

    Raises:
        NotFound: if there is no such payout.
    """
    (found,) = await lives(connection, [number]) or (None,)
    if found is None:
        raise NotFound("payout", str(number))
    moved = await _moved(connection, found, keys)
    acts = await decisions.actable(connection, SubjectKind.PAYOUT, number, keys)
    shown = {**dict(found), **dict(acts)}
    if found.why is None and found.state in WAITING_FOR_ITS_RAIL:
        shown["why"] = await _not_connected(connection, found.rail)
    if moved is not None:
        shown |= {"to_do": instead(moved, found.state), "redirectable": moved.destination is not None}
    return PayoutShown(**shown)


async def _not_connected(connection: AsyncConnection, rail: str) -> str | None:
    """Return that no worker reports the rail of a payout that waits for it, in words; None if one does.

    It is said as long as it is so, and so it stands in no row.
    """
    there = rail in await rails.connected(connection, datetime.now(UTC))
    return None if there else f"{not_connected(rail).why}; it is sent once a worker has its credentials"


async def _moved(connection: AsyncConnection, found: PayoutLife, keys: KeyRing) -> PayeeSubject | None:
    """Return the payee if they have another destination now than this payout, or none; None if not."""
    if found.state not in _MAY_HAVE_MOVED or not needs_method(found.rail):
        return None
    (its,) = await subject.in_brief(connection, [(found.payee, found.rail)], datetime.now(UTC), keys)
    return its if found.payout in {each.id for each in its.payouts} else None


async def lives(connection: AsyncConnection, numbers: Sequence[UUID]) -> list[PayoutLife]:
    """Return the payouts with these ids, in the order given; unknown ids are left out."""
    if not numbers:
        return []
    asked = {"ids": array([str(each) for each in numbers])}
    rows = {row.id: row for row in await typed_rows.read(connection, PayoutRow, _OF_IDS, asked)}
    legs = await _by_payout(connection, LegPaid, _LEGS, asked)
    deductions = await _by_payout(connection, Deduction, _DEDUCTIONS, asked)
    steps = await _by_payout(connection, PayoutStep, _STEPS, asked)
    return [
        PayoutLife(
            **dict(in_list(rows[each])),
            legs=tuple(legs[each]),
            deductions=tuple(deductions[each]),
            steps=tuple(steps[each]),
        )
        for each in numbers
        if each in rows
    ]


async def _by_payout(
    connection: AsyncConnection, kind: type[_Part], statement: TextClause, asked: Mapping[str, str]
) -> Mapping[UUID, list[_Part]]:
    """Return the parts of one kind of each payout, in the order of the statement."""
    found: dict[UUID, list[_Part]] = defaultdict(list)
    for row in await connection.execute(statement, asked):
        found[row.payout_id].append(kind.model_validate(row))
    return found


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A payout as `BRIEF` reads it."""

    id: UUID
    referral_id: str | None
    cycle_id: UUID | None
    returns: UUID | None
    program: str
    payee: str
    rail: str
    amount_minor: int
    currency: str
    state: PayoutState
    why: str | None
    given_up: bool
    generation: int
    provider_key: str
    provider_reference: str | None
    destination: str | None
    key_used_at: datetime | None
    first_sent_at: datetime | None
    settled_at: datetime | None
    created_at: datetime
    updated_at: datetime


def in_list(row: PayoutRow) -> PayoutInList:
    """Return a payout as lists show it."""
    sent = row.key_used_at is not None
    return PayoutInList(
        payout=row.id,
        referral=row.referral_id,
        cycle=row.cycle_id,
        returns=row.returns,
        program=row.program,
        payee=row.payee,
        rail=row.rail,
        amount_minor=row.amount_minor,
        currency=row.currency,
        state=row.state,
        why=row.why,
        to_do=to_do(row.state, sent=sent, given_up=row.given_up, rail=row.rail, key=row.provider_key),
        generation=row.generation,
        key=row.provider_key,
        reference=row.provider_reference,
        destination=row.destination,
        first_sent_at=row.first_sent_at,
        settled_at=row.settled_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


#: The columns of a `PayoutRow`.
BRIEF: Final = f"p.*, p.body->>'program' AS program, p.body->>'destination' AS destination, {GIVEN_UP} AS given_up"

_OF_IDS: Final = text(f"SELECT {BRIEF} FROM payout p WHERE p.id = ANY(CAST(:ids AS uuid[]))")  # noqa: S608

_LEGS: Final = text("""
SELECT pl.payout_id, l.id AS leg, l.referral_id AS referral, l.role, l.kind, l.amount_minor, l.currency, l.state,
       pl.live
FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = ANY(CAST(:ids AS uuid[]))
ORDER BY pl.payout_id, pl.live DESC, l.referral_id, l.role DESC, l.id
""")

_DEDUCTIONS: Final = text("""
SELECT payout_id, kind, source, amount_minor, live FROM payout_deduction WHERE payout_id = ANY(CAST(:ids AS uuid[]))
ORDER BY payout_id, kind, source
""")

_STEPS: Final = text("""
SELECT payout_id, generation, at, act, state, why, reference FROM payout_step
WHERE payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY payout_id, id
""")
