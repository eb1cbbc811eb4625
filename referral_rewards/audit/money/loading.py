"""Load payments with all that stands behind them, page by page: memory does not grow with their number."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar, cast, get_origin, get_type_hints
from uuid import UUID

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.money import keys, redirects, statements
from referral_rewards.audit.money.records import (
    Case,
    Cited,
    Claim,
    Clawback,
    Cycle,
    Deduction,
    Entry,
    Heard,
    Instruction,
    Leg,
    Line,
    Made,
    Payment,
    Payout,
    Referral,
    Return,
    Step,
    Terms,
)

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

PAGE_SIZE: Final = 200
_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which payments are audited: those of a program, all or of one ``cycle``, or paid in a span, half-open."""

    program: str
    cycle: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


async def payments(connection: AsyncConnection, scope: Scope, *, size: int = PAGE_SIZE) -> AsyncIterator[Payment]:
    """Yield every payment in scope that anything on record says was made, by id."""
    asked = {"program": scope.program, "cycle": scope.cycle, "since": scope.since, "until": scope.until, "size": size}
    after = _FIRST
    while page := await _read(connection, Payout, statements.PAGE, {**asked, "after": after}):
        for payment in await _with_their_rows(connection, page):
            yield payment
        after = page[-1].id


async def _with_their_rows(connection: AsyncConnection, page: tuple[Payout, ...]) -> Iterator[Payment]:
    """Return the payouts of a page as payments."""
    ids = [payout.id for payout in page]
    legs = await _grouped(connection, Leg, statements.LEGS, ids, "payout_id")
    steps = await _grouped(connection, Step, statements.STEPS, ids, "payout_id")
    deductions = await _grouped(connection, Deduction, statements.DEDUCTIONS, ids, "payout_id")
    instructions = await _grouped(connection, Instruction, statements.INSTRUCTIONS, ids, "payout_id")
    every_leg = [leg for its in legs.values() for leg in its]
    behind = await _behind(connection, page, every_leg)
    named = [key for payout in page for key in keys.of_payout(payout, steps.get(payout.id, ()))]
    named += [key for leg in every_leg for key in keys.of_leg(leg)]
    named += [key for clawback in behind.every_clawback for key in keys.of_clawback(clawback)]
    posted = {each.key: each for each in await _entries(connection, named)}
    return (_payment(payout, behind, posted, legs, steps, deductions, instructions) for payout in page)


@dataclass(frozen=True, slots=True)
class _Behind:
    """What stands behind the payments of a page."""

    claims: Mapping[UUID, Claim]
    terms: Mapping[tuple[str, int], Terms]
    referrals: Mapping[str, Referral]
    cited: Mapping[UUID, tuple[Cited, ...]]
    heard: Mapping[str, tuple[Heard, ...]]
    made: Mapping[UUID, tuple[Made, ...]]
    adjusted: Mapping[str, tuple[Made, ...]]
    clawbacks: Mapping[UUID, tuple[Clawback, ...]]
    cases: Mapping[UUID, tuple[Case, ...]]
    returns: Mapping[UUID, tuple[Return, ...]]
    cycles: Mapping[UUID, Cycle]

    @property
    def every_clawback(self) -> list[Clawback]:
        return [each for its in self.clawbacks.values() for each in its]


async def _behind(connection: AsyncConnection, page: tuple[Payout, ...], legs: list[Leg]) -> _Behind:
    leg_ids, claim_ids = {leg.id for leg in legs}, {leg.claim_id for leg in legs}
    cycle_ids = {payout.cycle_id for payout in page if payout.cycle_id is not None}
    cases = await _grouped(connection, Case, statements.CASES, leg_ids, "leg_id")
    case_ids = {case.id for its in cases.values() for case in its} | {p.returns for p in page if p.returns is not None}
    bound = {redirects.subject(leg.beneficiary, leg.rail) for leg in legs if leg.bound_to is not None}
    subjects = claim_ids | {payout.id for payout in page} | case_ids | cycle_ids | bound
    return _Behind(
        claims=await _by(connection, Claim, statements.CLAIMS, claim_ids, lambda each: each.id),
        terms=await _by(
            connection,
            Terms,
            statements.TERMS,
            {leg.program for leg in legs},
            lambda each: (each.program, each.version),
        ),
        referrals=await _by(
            connection, Referral, statements.REFERRALS, {leg.referral_id for leg in legs}, lambda each: each.id
        ),
        cited=await _grouped(connection, Cited, statements.CITED, claim_ids, "claim_id"),
        heard=await _grouped(connection, Heard, statements.HEARD, {leg.referral_id for leg in legs}, "referral_id"),
        adjusted=await _grouped(
            connection, Made, statements.ADJUSTED, {leg.referral_id for leg in legs}, "referral_id"
        ),
        made=await _grouped(connection, Made, statements.MADE, subjects, "claim_id"),
        clawbacks=await _grouped(connection, Clawback, statements.CLAWBACKS, leg_ids, "leg_id"),
        cases=cases,
        returns=await _grouped(connection, Return, statements.RETURNS, case_ids, "case_id"),
        cycles=await _by(connection, Cycle, statements.CYCLES, cycle_ids, lambda each: each.id),
    )


def _payment(
    payout: Payout,
    behind: _Behind,
    posted: Mapping[str, Entry],
    legs: Mapping[UUID, tuple[Leg, ...]],
    steps: Mapping[UUID, tuple[Step, ...]],
    deductions: Mapping[UUID, tuple[Deduction, ...]],
    instructions: Mapping[UUID, tuple[Instruction, ...]],
) -> Payment:
    its_legs, its_steps = legs.get(payout.id, ()), steps.get(payout.id, ())
    clawbacks = tuple(each for leg in its_legs for each in behind.clawbacks.get(leg.id, ()))
    cases = tuple(each for leg in its_legs for each in behind.cases.get(leg.id, ()))
    its_keys = (
        *keys.of_payout(payout, its_steps),
        *(key for leg in its_legs if leg.live or leg.state == "cancelled" for key in keys.of_leg(leg)),
        *(key for clawback in clawbacks for key in keys.of_clawback(clawback)),
    )
    return Payment(
        payout=payout,
        legs=its_legs,
        steps=its_steps,
        deductions=deductions.get(payout.id, ()),
        claims=behind.claims,
        terms=behind.terms,
        referrals=behind.referrals,
        cited=behind.cited,
        heard=behind.heard,
        made=behind.made,
        adjusted=behind.adjusted,
        clawbacks=clawbacks,
        cases=cases,
        returns=tuple(each for case in cases for each in behind.returns.get(case.id, ())),
        cycle=behind.cycles.get(payout.cycle_id) if payout.cycle_id is not None else None,
        instructions=instructions.get(payout.id, ()),
        entries={key: posted[key] for key in its_keys if key in posted},
    )


async def _entries(connection: AsyncConnection, named: Collection[str]) -> list[Entry]:
    found = await connection.execute(statements.ENTRIES, {"ids": sorted(set(named))})
    return [
        Entry(
            id=row.id,
            key=row.key,
            position=row.position,
            description=row.description,
            posted_at=row.posted_at,
            program=row.program,
            referral_id=row.referral_id,
            lines=tuple(Line(*each) for each in row.postings),
        )
        for row in found
    ]


async def _read(
    connection: AsyncConnection, kind: type[T], statement: TextClause, asked: Mapping[str, object]
) -> tuple[T, ...]:
    return tuple(_of(kind, row) for row in await connection.execute(statement, dict(asked)))


async def _by(
    connection: AsyncConnection, kind: type[T], statement: TextClause, ids: Iterable[Any], key: Callable[[T], K]
) -> Mapping[K, T]:
    """Return the rows of some ids, each under its key."""
    wanted = sorted(set(ids))
    found = await _read(connection, kind, statement, {"ids": wanted}) if wanted else ()
    return {key(each): each for each in found}


async def _grouped(
    connection: AsyncConnection, kind: type[T], statement: TextClause, ids: Iterable[K], column: str
) -> Mapping[K, tuple[T, ...]]:
    """Return the rows of some ids, grouped by a column, in the statement's order."""
    wanted = sorted(set(ids), key=str)
    found: defaultdict[K, list[T]] = defaultdict(list)
    for row in await connection.execute(statement, {"ids": wanted}) if wanted else ():
        found[getattr(row, column)].append(_of(kind, row))
    return {key: tuple(rows) for key, rows in found.items()}


def _of(kind: type[T], row: Row[Any]) -> T:
    """Return a row as a record; lists become tuples where the record says so."""
    return kind(**{name: tuple(value) if is_tuple else value for name, is_tuple, value in _values(kind, row)})


def _values(kind: type[Any], row: Row[Any]) -> Iterator[tuple[str, bool, Any]]:
    for name, is_tuple in _shape(cast(Hashable, kind)):
        yield name, is_tuple, getattr(row, name)


@cache
def _shape(kind: Any) -> tuple[tuple[str, bool], ...]:
    hints = get_type_hints(kind)
    return tuple((each.name, get_origin(hints[each.name]) is tuple) for each in fields(kind))
