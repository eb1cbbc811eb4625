"""Pay a leaving payee below the minimum: which cycle it will be, what is due, and who is exempt from a minimum."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.cycles.gathering import due_leg
from referral_rewards.domain.cycles.grouping import DueLeg, cycle_id, next_due
from referral_rewards.domain.cycles.leaving import leaving_id, leaving_payee
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.money_acts import ActSubject
from referral_rewards.domain.errors import NotFound, RequestInvalid
from referral_rewards.register import marks, programs
from referral_rewards.register.cycles import gathering
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles.rows import Timing
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import deductions


@dataclass(frozen=True, slots=True)
class Leaving:
    """A payee who may be paid below the minimum: the cycle that would pay it, its day, and what is due."""

    subject: ActSubject
    cycle: UUID
    due_on: date
    opens_today: bool
    minimum_minor: int | None
    amount_minor: int


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the payee under the lock on what they are owed.

    Raises:
        NotFound, RequestInvalid: as `shown`.
    """
    program = asked.program or ""
    await deductions.hold_payees(connection, [asked.subject])
    found = await shown(connection, program, asked.subject, now, keys)

    async def follow(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
        if found.opens_today:
            await cycles.open_early(connection, program, now)

    return Held(found.subject, follow)


async def shown(connection: AsyncConnection, program: str, payee: str, now: datetime, keys: KeyRing) -> Leaving:
    """Return the payee as a subject, without a lock: paid by the cycle of today or, if that is past them, by the next.

    Raises:
        NotFound: if there is no such program, or nothing is due to the payee in it.
        RequestInvalid: if the program does not pay in cycles.
    """
    timing = await cycles.timing(connection, program, now)
    if timing is None:
        if not await programs.versions(connection, program):
            raise await programs.unknown(connection, program)
        raise RequestInvalid(f"program {program} pays at once, not in cycles", "program")
    today = now.astimezone(timing.terms.zone).date()
    opens_today = await _takes(connection, cycle_id(program, today), payee)
    due_on = today if opens_today else next_due(timing.cycle, timing.terms.zone, now)
    cycle = cycle_id(program, due_on)
    due = await _due(connection, timing, payee)
    if not due:
        raise NotFound("payee with something due in a cycle", payee)
    subject = leaving_payee(
        program,
        payee,
        cycle,
        timing.minimum,
        timing.terms.currency,
        due,
        await marks.of_payee(connection, payee),
        await decisions.history_of(connection, [leaving_id(cycle, payee)], keys),
    )
    least = timing.minimum
    owed = sum(leg.amount_minor for leg in due if leg.currency == timing.terms.currency)
    return Leaving(subject, cycle, due_on, opens_today, None if least is None else least.amount_minor, owed)


async def below_minimum(
    connection: AsyncConnection, payee: str, programs: Collection[str], now: datetime, keys: KeyRing
) -> Sequence[str]:
    """Return those of these programs that could pay the payee below their minimum now, sorted."""
    able: list[str] = []
    for program in sorted(programs):
        try:
            found = await shown(connection, program, payee, now, keys)
        except (NotFound, RequestInvalid):
            continue
        if found.subject.takes:
            able.append(program)
    return able


async def _takes(connection: AsyncConnection, cycle: UUID, payee: str) -> bool:
    """Return whether the cycle will still come to the payee: it is not open yet, or is gathering and not past them."""
    row = await cycles.row(connection, cycle)
    return row is None or (row.state == CycleState.COLLECTING and (row.cursor is None or row.cursor < payee))


async def _due(connection: AsyncConnection, timing: Timing, payee: str) -> Sequence[DueLeg]:
    rows = await gathering.due_to(connection, timing.terms.program, timing.versions, payee)
    return [due_leg(each) for each in rows]
