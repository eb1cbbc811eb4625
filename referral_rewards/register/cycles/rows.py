"""Open payout cycles on their day, load and save their rows, and read the decisions on them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutCycleRow
from models.statuses import spelled
from referral_rewards.domain.cycles.authority import CycleAuthority
from referral_rewards.domain.cycles.cycle import Cycle, CycleFile
from referral_rewards.domain.cycles.grouping import Minimum, cycle_id, latest_due, opens_at
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.cycles.steps import Change
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.payouts.states import AT_REST
from referral_rewards.domain.programs.terms import PayoutCycle, Terms
from referral_rewards.register import outbox, programs, typed_rows
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import effects
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


async def row(connection: AsyncConnection, cycle: UUID) -> Cycle | None:
    """Return the cycle without a lock."""
    return await typed_rows.read_one(connection, Cycle, _ROW, {"id": cycle})


async def hold(connection: AsyncConnection, cycle: UUID) -> Cycle | None:
    """Return the cycle, locked until the transaction ends. Lock it after referrals and before payouts."""
    return await typed_rows.read_one(connection, Cycle, _HOLD, {"id": cycle})


async def share(connection: AsyncConnection, cycle: UUID) -> Cycle | None:
    """Return the cycle under a shared lock, so that nothing is decided on it until the transaction ends."""
    return await typed_rows.read_one(connection, Cycle, _SHARE, {"id": cycle})


async def load(connection: AsyncConnection, cycle: UUID, keys: KeyRing) -> CycleFile | None:
    """Return the cycle with the decisions on it; None if there is no such cycle.

    It is read in one statement. What is to be true until the commit is read once the cycle is held.
    """
    found = (await connection.execute(_FILE, {"id": cycle})).one_or_none()
    if found is None:
        return None
    made, _ = decisions.verified(found.made, keys)
    return CycleFile(typed_rows.of(Cycle, found), made, frozenset(found.barred))


async def decided(connection: AsyncConnection, cycle: Cycle, keys: KeyRing) -> CycleAuthority:
    """Return what people decided on the cycle."""
    found = (await connection.execute(_MADE, {"id": cycle.id})).one()
    made, _ = decisions.verified(found.made, keys)
    return CycleFile(cycle, made, frozenset(found.barred)).decided


async def save(connection: AsyncConnection, before: Cycle, change: Change, now: datetime) -> None:
    """Save what a step changed. The caller holds the cycle.

    ``updated_at`` is raised even if nothing changed, so that the sweep does not wake the cycle.
    """
    after = change.cycle
    changed = {
        each.name: new for each in fields(Cycle) if (new := getattr(after, each.name)) != getattr(before, each.name)
    }
    await connection.execute(update(_table).where(_table.c.id == before.id).values({**changed, "updated_at": now}))
    if after.state is not before.state:
        await queue.keep_cycle(connection, before.id)
    await effects.record(connection, change.applied, "applied", now, "carried out")


async def wake_once_over(connection: AsyncConnection, cycle: UUID) -> None:
    """Wake a cycle's workflow if its payouts are at rest, but for a few that may come to rest at this moment."""
    await connection.execute(_WAKE_ONCE_OVER, {"cycle": cycle})


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

#: Payouts that come to rest at one time don't see each other, and each would wait for the others to wake their cycle.
#: More than a worker sends at once there can hardly be.
_AT_ONCE: Final = 20
_OVER: Final = spelled(
    f"""WHERE CAST(:cycle AS uuid) IS NOT NULL AND (SELECT count(*) FROM (
        SELECT 1 FROM payout WHERE cycle_id = CAST(:cycle AS uuid) AND state NOT IN :at_rest{{besides}}
        LIMIT {_AT_ONCE + 1}
    ) AS others) <= {_AT_ONCE}""",  # noqa: S608 (a number of ours)
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

_DECISIONS: Final = f"""
(
    SELECT coalesce(json_agg(linked ORDER BY linked.seq), '[]')
    FROM ({decisions.LINKED} WHERE d.claim_id = :id) AS linked
) AS made, ARRAY(
    SELECT u.name FROM app_user u
    WHERE u.barred_at IS NOT NULL AND u.name IN (SELECT d.username FROM decision d WHERE d.claim_id = :id)
) AS barred
"""  # noqa: S608 (a query of ours)

_MADE: Final = text(f"SELECT {_DECISIONS}")

_FILE: Final = text(f"SELECT c.*, {_DECISIONS} FROM payout_cycle c WHERE c.id = :id")  # noqa: S608 (a query of ours)

_HOLD: Final = text("SELECT * FROM payout_cycle WHERE id = :id FOR UPDATE")

_SHARE: Final = text("SELECT * FROM payout_cycle WHERE id = :id FOR SHARE")
