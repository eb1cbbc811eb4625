"""Payout cycles on record: opening them on their day, reading them, and what people decided on them."""

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
    """How a program pays in cycles: by which version of its terms, on which days, and since when.

    ``versions`` are all that pay in cycles: the legs of their referrals wait for one, whichever is in force now.
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
    """How a program pays in cycles at ``now``; None if none of the terms that ever came into force did.

    The newest terms in force that pay in cycles say when. Rewards that were promised before a program began to pay at
    once still wait for one.
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
    """The programs with terms that pay in cycles, in force or yet to come."""
    return (await connection.execute(_PROGRAMS)).scalars().all()


async def open_due(connection: AsyncConnection, program: str, now: datetime) -> UUID | None:
    """Opens the program's latest cycle that has fallen due, and wakes its workflow; None where there is none, or it
    was opened before. One of before its terms were published never is."""
    its = await timing(connection, program, now)
    if its is None:
        return None
    due_on = its.latest_due(now)
    if opens_at(due_on, its.terms.zone) < its.since:
        return None
    return await _open(connection, its, due_on, now)


async def open_early(connection: AsyncConnection, program: str, now: datetime) -> tuple[UUID, bool]:
    """Opens a cycle of today, whatever the day; True beside it if there is one already.

    Raises:
        NotFound: if there is no such program.
        RequestInvalid: if it does not pay in cycles.
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
    """The cycle as it stands, unlocked."""
    return (await connection.execute(_ROW, {"id": cycle})).one_or_none()


async def hold(connection: AsyncConnection, cycle: UUID) -> Any | None:
    """The cycle's row, locked until the transaction ends; taken after referrals' rows and before those of payouts."""
    return (await connection.execute(_HOLD, {"id": cycle})).one_or_none()


async def share(connection: AsyncConnection, cycle: UUID) -> Any | None:
    """The same, beside others who only want it to stay as it is: nothing is decided on it meanwhile."""
    return (await connection.execute(_SHARE, {"id": cycle})).one_or_none()


async def write(connection: AsyncConnection, cycle: UUID, now: datetime, **values: Any) -> None:
    """Writes to the cycle's row, which is held."""
    await connection.execute(update(_table).where(_table.c.id == cycle).values(**values, updated_at=now))
    if "state" in values:
        await queue.keep_cycle(connection, cycle)


async def wake_once_over(connection: AsyncConnection, cycle: UUID) -> None:
    """Wakes a cycle if the payout that came to rest in this transaction was its last one."""
    await connection.execute(_WAKE_ONCE_OVER, {"cycle": cycle})


async def decided(connection: AsyncConnection, cycle: Any, keys: KeyRing) -> CycleAuthority:
    """What people decided on the cycle of that row."""
    made = await decisions.on_subject(connection, cycle.id, keys)
    stands = authority(cycle.id, cycle.digest, [each.signoff for each in made])
    if stands.released_by is not None and await decisions.barred(connection, [stands.released_by]):
        return replace(stands, barred=True)
    return stands


async def note_applied(connection: AsyncConnection, cycle: Any, keys: KeyRing, now: datetime) -> None:
    """Notes the decisions on the cycle that were carried out."""
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

_WAKE_ONCE_OVER: Final = text(
    outbox.wakeups(
        WakeupKind.CYCLE_DUE,
        "CAST(:cycle AS text)",
        "CAST(:cycle AS uuid)",
        spelled(
            """WHERE NOT EXISTS (
        SELECT 1 FROM payout WHERE cycle_id = CAST(:cycle AS uuid) AND state NOT IN :at_rest
    )""",
            at_rest=AT_REST,
        ),
    )
)

_ROW: Final = text("SELECT * FROM payout_cycle WHERE id = :id")

_HOLD: Final = text("SELECT * FROM payout_cycle WHERE id = :id FOR UPDATE")

_SHARE: Final = text("SELECT * FROM payout_cycle WHERE id = :id FOR SHARE")
