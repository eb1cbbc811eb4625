"""Open payout cycles on their day, load and save their rows, and read the decisions on them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutCycleRow
from models.statuses import spelled
from referral_rewards.domain.cycles.authority import CycleAuthority, authority
from referral_rewards.domain.cycles.grouping import Minimum, cycle_id, latest_due, opens_at
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.payouts.states import AT_REST
from referral_rewards.domain.programs.terms import PayoutCycle, Terms
from referral_rewards.register import outbox, programs
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import projection as queue

_table = PayoutCycleRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Timing:
    """How a program pays in cycles: under which version of its terms, on which days, and since when.

    ``versions`` are all versions that pay in cycles. Legs of referrals under any of them wait for a cycle, whichever
    version is in force now.
    """

    version: int
    terms: Terms
    cycle: PayoutCycle
    since: datetime
    versions: tuple[int, ...]

    @property
    def minimum(self) -> Minimum | None:
        least = self.cycle.minimum
        return None if least is None else Minimum(self.terms.minor(least), self.terms.currency)

    def latest_due(self, now: datetime) -> date:
        return latest_due(self.cycle, self.terms.zone, now)


async def timing(connection: AsyncConnection, program: str, now: datetime) -> Timing | None:
    """Return how a program pays in cycles at ``now``; None if no version that came into force pays in cycles.

    The newest such version sets the days. If newer terms pay at once, rewards under the older ones still wait for a
    cycle.
    """
    known = await programs.versions(connection, program)
    cyclic = {number: terms for number, terms in known if isinstance(terms.payouts.timing, PayoutCycle)}
    in_force = [(terms.effective_from, number) for number, terms in cyclic.items() if terms.effective_from <= now]
    if not in_force:
        return None
    _, number = max(in_force)
    terms = cyclic[number]
    assert isinstance(terms.payouts.timing, PayoutCycle)
    asked = {"program": program, "version": number}
    published_at = (await connection.execute(_PUBLISHED_AT, asked)).scalar_one()
    since = max(terms.effective_from, published_at)
    return Timing(number, terms, terms.payouts.timing, since, tuple(sorted(cyclic)))


async def paying_in_cycles(connection: AsyncConnection) -> Sequence[str]:
    """Return the programs with terms that pay in cycles, in force now or later."""
    return (await connection.execute(_PROGRAMS)).scalars().all()


async def open_due(connection: AsyncConnection, program: str, now: datetime) -> UUID | None:
    """Open the program's latest due cycle and wake its workflow; return its id.

    Returns None if no cycle is due or it was opened before. A cycle due before its terms were published is not opened.
    """
    its = await timing(connection, program, now)
    if its is None:
        return None
    due_on = its.latest_due(now)
    if opens_at(due_on, its.terms.zone) < its.since:
        return None
    return await _open(connection, its, due_on, now)


async def open_early(connection: AsyncConnection, program: str, now: datetime) -> tuple[UUID, bool]:
    """Open a cycle for today, even if none is due today. Return its id and whether it was open already.

    Raises:
        NotFound: if there is no such program.
        RequestInvalid: if the program does not pay in cycles.
    """
    its = await timing(connection, program, now)
    if its is None:
        if not await programs.versions(connection, program):
            raise await programs.unknown(connection, program)
        raise RequestInvalid(f"program {program} pays at once, not in cycles", "program")
    due_on = now.astimezone(its.terms.zone).date()
    opened = await _open(connection, its, due_on, now)
    return cycle_id(program, due_on), opened is None


async def row(connection: AsyncConnection, cycle: UUID) -> Any | None:
    """Return the cycle's row without a lock."""
    return (await connection.execute(_ROW, {"id": cycle})).one_or_none()


async def hold(connection: AsyncConnection, cycle: UUID) -> Any | None:
    """Return the cycle's row, locked until the transaction ends. Lock it after referrals and before payouts."""
    return (await connection.execute(_HOLD, {"id": cycle})).one_or_none()


async def share(connection: AsyncConnection, cycle: UUID) -> Any | None:
    """Return the cycle's row under a shared lock, so that nothing is decided on it until the transaction ends."""
    return (await connection.execute(_SHARE, {"id": cycle})).one_or_none()


async def write(connection: AsyncConnection, cycle: UUID, now: datetime, **values: Any) -> None:
    """Save values to the cycle's row. The caller holds it."""
    await connection.execute(update(_table).where(_table.c.id == cycle).values(**values, updated_at=now))
    if "state" in values:
        await queue.keep_cycle(connection, cycle)


async def wake_once_over(connection: AsyncConnection, cycle: UUID) -> None:
    """Wake a cycle's workflow if all its payouts are at rest."""
    await connection.execute(_WAKE_ONCE_OVER, {"cycle": cycle})


async def decided(connection: AsyncConnection, cycle: Any, keys: KeyRing) -> CycleAuthority:
    """Return what people decided on the cycle; ``cycle`` is its row."""
    made = await decisions.on_subject(connection, cycle.id, keys)
    stands = authority(cycle.id, cycle.digest, [each.signoff for each in made])
    if stands.released_by is not None and await decisions.barred(connection, [stands.released_by]):
        return replace(stands, barred=True)
    return stands


async def note_applied(connection: AsyncConnection, cycle: Any, keys: KeyRing, now: datetime) -> None:
    """Record which decisions on the cycle were carried out."""
    made = await decisions.on_subject(connection, cycle.id, keys)
    signoffs = [each.signoff for each in made]
    turns = [authority(cycle.id, cycle.digest, signoffs[:count]).turn for count in range(len(made) + 1)]
    applied = [each.id for each, (before, after) in zip(made, pairwise(turns), strict=True) if after > before]
    await decisions.record_effect(connection, applied, "applied", now, "carried out")


async def _open(connection: AsyncConnection, its: Timing, due_on: date, now: datetime) -> UUID | None:
    name = cycle_id(its.terms.program, due_on)
    opened = await connection.execute(
        insert(_table)
        .values(
            id=name,
            program=its.terms.program,
            due_on=due_on,
            version=its.version,
            minimum_minor=its.minimum.amount_minor if its.minimum else None,
            currency=its.terms.currency,
            state=CycleState.COLLECTING,
            turn=0,
            summary={},
            opened_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing()
        .returning(_table.c.id)
    )
    if opened.scalar_one_or_none() is None:
        return None
    await outbox.enqueue(connection, WakeupKind.CYCLE_DUE, str(name), name)
    return name


_PUBLISHED_AT: Final = text("""
SELECT published_at FROM program_version WHERE program = :program AND version = :version
""")

_PROGRAMS: Final = text("""
SELECT DISTINCT program FROM program_version
WHERE jsonb_typeof(terms->'payouts'->'timing') = 'object' ORDER BY program
""")

_OVER: Final = spelled(
    """WHERE CAST(:cycle AS uuid) IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM payout WHERE cycle_id = CAST(:cycle AS uuid) AND state NOT IN :at_rest{besides}
    )""",
    at_rest=AT_REST,
)

#: The SQL that wakes a ``:cycle`` as `wake_once_over` does, in the statement that brings its payout ``:id`` to rest.
WAKING_ONCE_OVER: Final = outbox.wakeups(
    WakeupKind.CYCLE_DUE, "CAST(:cycle AS text)", "CAST(:cycle AS uuid)", _OVER.format(besides=" AND id <> :id")
)

_WAKE_ONCE_OVER: Final = text(
    outbox.wakeups(WakeupKind.CYCLE_DUE, "CAST(:cycle AS text)", "CAST(:cycle AS uuid)", _OVER.format(besides=""))
)

_ROW: Final = text("SELECT * FROM payout_cycle WHERE id = :id")

_HOLD: Final = text("SELECT * FROM payout_cycle WHERE id = :id FOR UPDATE")

_SHARE: Final = text("SELECT * FROM payout_cycle WHERE id = :id FOR SHARE")
