"""Payout cycles: one cycle with its totals, and a preview of the next one."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.cycles.cycle import Cycle
from referral_rewards.domain.cycles.gathering import gathered
from referral_rewards.domain.cycles.grouping import CarriedFor, next_due, opens_at
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.money_acts import SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.register import programs
from referral_rewards.register.cycles import exemptions, gathering
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles.rows import Timing
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.reporting import decisions
from referral_rewards.reporting.decisions import Actable
from referral_rewards.reporting.shape import Instant, Shape

_Key = TypeVar("_Key")
#: How many payees are read at a time.
_PAYEES_AT_ONCE: Final = 100


class RailTotal(Shape):
    """The totals of the payouts over one rail, and the number of rewards that they pay."""

    rail: str
    currency: str
    payouts: int
    legs: int
    amount_minor: int


class CarriedTotal(Shape):
    """The totals of the rewards that wait for the next cycle for one reason."""

    why: CarriedFor
    currency: str
    legs: int
    amount_minor: int


class Outcome(Shape):
    """The totals of the payouts in one state."""

    state: PayoutState
    currency: str
    payouts: int
    amount_minor: int


class RailOutcome(Outcome):
    """The totals of the payouts over one rail and in one state."""

    rail: str


class Summary(Shape):
    """The totals of a cycle by rail and currency (``totals``), of the legs carried forward by reason (``carried``),
    and of its payouts by final state once it is done (``outcome``). ``refused`` is why its list is not paid. Empty
    while the cycle gathers."""

    totals: tuple[RailTotal, ...] = ()
    carried: tuple[CarriedTotal, ...] = ()
    outcome: tuple[Outcome, ...] = ()
    refused: str | None = None


class CycleInList(Shape):
    """A payout cycle under ``version`` of its program's terms. ``list`` is the digest of the list that finance
    releases; ``minimum_minor`` the minimum paid to a payee, in ``currency``."""

    cycle: UUID
    program: str
    due_on: date
    version: int
    state: CycleState
    minimum_minor: int | None
    currency: str
    list: str | None
    summary: Summary
    opened_at: Instant
    frozen_at: Instant | None
    done_at: Instant | None


class PaidBelowMinimum(Shape):
    """A payee whom the cycle pays less than its minimum, and the signed decision that says so."""

    payee: str
    seq: int
    user: str
    reason: str
    decided_at: Instant


class CycleShown(CycleInList, Actable):
    """A cycle with the states of its payouts, whom it pays below its minimum, its decisions, and its current digest."""

    payouts: tuple[RailOutcome, ...]
    below_minimum: tuple[PaidBelowMinimum, ...]


class CycleRow(Shape):
    """One payout of a cycle, as a row of an exported file."""

    payout: UUID
    payee: str
    rail: str
    amount_minor: int
    currency: str
    state: PayoutState
    why: str | None
    reference: str | None
    legs: int
    referrals: tuple[str, ...] | None


class PlannedPayout(Shape):
    """A payout that the next cycle would make, before deductions."""

    payee: str
    rail: str
    amount_minor: int
    currency: str
    legs: int
    referrals: tuple[str, ...]


class CarriedLeg(Shape):
    """A reward that the next cycle would carry forward, and why."""

    leg: UUID
    referral: str
    payee: str
    rail: str
    amount_minor: int
    currency: str
    why: CarriedFor


class Preview(Shape):
    """What a program's next cycle would pay from the rewards due now, by payee. ``next`` is the `after` of the next
    page; null at the end."""

    program: str
    due_on: date
    opens_at: Instant
    minimum_minor: int | None
    currency: str
    payouts: tuple[PlannedPayout, ...]
    carried: tuple[CarriedLeg, ...]
    next: str | None


async def cycle(connection: AsyncConnection, number: UUID, keys: KeyRing) -> CycleShown:
    """Return one cycle.

    Raises:
        NotFound: if there is no such cycle.
    """
    row = await cycles.row(connection, number)
    if row is None:
        raise NotFound("payout cycle", str(number))
    stand = [RailOutcome.model_validate(each) for each in await connection.execute(_STAND, {"cycle": number})]
    to_decide = await decisions.actable(connection, SubjectKind.CYCLE, number, keys)
    below = [
        PaidBelowMinimum(payee=payee, seq=its.seq, user=its.user, reason=its.reason, decided_at=its.decided_at)
        for payee, its in await exemptions.below(connection, number, row.minimum_minor, keys)
    ]
    return CycleShown(**{**dict(in_list(row)), **dict(to_decide), "payouts": stand, "below_minimum": below})


async def rows(connection: AsyncConnection, number: UUID, *, after: UUID | None = None, limit: int) -> list[CycleRow]:
    """Return a page of a cycle's payouts, sorted by id, with the referrals that each pays."""
    asked = {"cycle": number, "after": after, "limit": limit}
    return [CycleRow.model_validate(row) for row in await connection.execute(_ROWS, asked)]


async def preview(
    connection: AsyncConnection, program: str, now: datetime, *, after: str | None = None, limit: int = _PAYEES_AT_ONCE
) -> Preview:
    """Return a page of what the program's next cycle would pay and carry forward, from the rewards due now.

    Amounts are before deductions, which are planned when the cycle gathers.

    Raises:
        NotFound: if there is no such program, or it does not pay in cycles.
    """
    its = await _timing(connection, program, now)
    due = await gathering.due(connection, program, now, after, limit)
    held = {leg.id for leg in due.legs if leg.state is LegState.TAX_HOLD}
    made = gathered(due.legs, held, its.minimum)
    referrals = {leg.id: leg.referral_id for leg in due.legs}
    due_on = next_due(its.cycle, its.terms.zone, now)
    return Preview(
        program=program,
        due_on=due_on,
        opens_at=opens_at(due_on, its.terms.zone),
        minimum_minor=its.minimum.amount_minor if its.minimum else None,
        currency=its.terms.currency,
        payouts=tuple(
            PlannedPayout(
                payee=each.payee,
                rail=each.rail,
                amount_minor=each.amount_minor,
                currency=each.currency,
                legs=len(each.legs),
                referrals=tuple(sorted({referrals[leg.id] for leg in each.legs})),
            )
            for each in made.payouts
        ),
        carried=tuple(
            CarriedLeg(
                leg=each.leg.id,
                referral=referrals[each.leg.id],
                payee=each.leg.payee,
                rail=each.leg.rail,
                amount_minor=each.leg.amount_minor,
                currency=each.leg.currency,
                why=each.why,
            )
            for each in made.carried
        ),
        next=due.payees[-1] if due.more else None,
    )


async def previewed(connection: AsyncConnection, program: str, now: datetime) -> AsyncIterator[Preview]:
    """Yield all pages of the preview."""
    page = await preview(connection, program, now)
    yield page
    while page.next is not None:
        page = await preview(connection, program, now, after=page.next)
        yield page


async def preview_totals(connection: AsyncConnection, program: str, now: datetime) -> Summary:
    """Return the totals of the whole next cycle."""
    totals: dict[tuple[str, str], list[int]] = {}
    carried: dict[tuple[CarriedFor, str], list[int]] = {}
    async for page in previewed(connection, program, now):
        for planned in page.payouts:
            _add(totals, (planned.rail, planned.currency), 1, planned.legs, planned.amount_minor)
        for leg in page.carried:
            _add(carried, (leg.why, leg.currency), 1, leg.amount_minor)
    return Summary(
        totals=tuple(
            RailTotal(rail=rail, currency=currency, payouts=payouts, legs=legs, amount_minor=amount_minor)
            for (rail, currency), (payouts, legs, amount_minor) in sorted(totals.items())
        ),
        carried=tuple(
            CarriedTotal(why=why, currency=currency, legs=legs, amount_minor=amount_minor)
            for (why, currency), (legs, amount_minor) in sorted(carried.items())
        ),
    )


def _add(total: dict[_Key, list[int]], key: _Key, *more: int) -> None:
    total[key] = [had + each for had, each in zip(total.get(key, [0] * len(more)), more, strict=True)]


async def _timing(connection: AsyncConnection, program: str, now: datetime) -> Timing:
    its = await cycles.timing(connection, program, now)
    if its is None:
        if await programs.versions(connection, program):
            raise NotFound("payout cycle of program", program)
        raise await programs.unknown(connection, program)
    return its


def in_list(row: Cycle) -> CycleInList:
    """Return a cycle as lists show it."""
    return CycleInList(
        cycle=row.id,
        program=row.program,
        due_on=row.due_on,
        version=row.version,
        state=row.state,
        minimum_minor=row.minimum_minor,
        currency=row.currency,
        list=row.digest,
        summary=Summary.model_validate(row.summary),
        opened_at=row.opened_at,
        frozen_at=row.frozen_at,
        done_at=row.done_at,
    )


_STAND: Final = text("""
SELECT state, rail, currency, count(*) AS payouts, CAST(sum(amount_minor) AS bigint) AS amount_minor
FROM payout WHERE cycle_id = :cycle GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")

_ROWS: Final = text("""
SELECT p.id AS payout, p.payee, p.rail, p.amount_minor, p.currency, p.state, p.why, p.provider_reference AS reference,
       listed.legs, listed.referrals
FROM payout p CROSS JOIN LATERAL (
    SELECT count(*) AS legs, array_agg(DISTINCT l.referral_id) AS referrals
    FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = p.id AND pl.live
) AS listed
WHERE p.cycle_id = :cycle AND (CAST(:after AS uuid) IS NULL OR p.id > :after) ORDER BY p.id LIMIT :limit
""")
