"""Advance a payout cycle by one bounded step: load it, let the domain say which step comes next, save what it changed.

Each step starts from the cycle's row and the signed decisions, and commits its progress. After a crash the next run
continues there, so nothing is paid twice and nothing is lost.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.cycles import steps
from referral_rewards.domain.cycles.cycle import Cycle, CycleFile
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.cycles.steps import Change, Step
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import outbox
from referral_rewards.register.cycles import gathering, lists
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind

#: How many payouts are released, or taken back, in one transaction.
_PAYOUTS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class CycleStep:
    """The state of a cycle after a step. ``more``: the next step can be taken at once."""

    state: CycleState
    more: bool


async def step(connection: AsyncConnection, cycle: UUID, now: datetime, keys: KeyRing) -> CycleStep | None:
    """Take the next step of a cycle in the caller's transaction, and return it; None if there is no such cycle."""
    seen = await cycles.load(connection, cycle, keys)
    if seen is None:
        return None
    if (next_step := steps.next_step(seen)) is Step.NOTHING:
        return CycleStep(seen.cycle.state, more=False)
    # Gathering locks the referrals first, and the cycle's row after them.
    if next_step is Step.GATHER and await gathering.gather(connection, seen.cycle, now, keys):
        return CycleStep(CycleState.COLLECTING, more=True)
    await cycles.hold(connection, cycle)
    # A statement of its own: it has to see what was committed while this one waited for the lock.
    file = await cycles.load(connection, cycle, keys)
    assert file is not None
    change = await _change(connection, file, now)
    await cycles.save(connection, file.cycle, change, now)
    return CycleStep(change.cycle.state, change.more)


async def _change(connection: AsyncConnection, file: CycleFile, now: datetime) -> Change:
    """Return what the next step of a cycle changes. The caller holds it."""
    cycle = file.cycle
    match steps.next_step(file):
        case Step.GATHER:
            its = await lists.load(connection, cycle.id)
            return steps.frozen(cycle, its.digest, its.totals, now)
        case Step.RELEASE:
            return steps.released(file, await lists.digest_of(connection, cycle.id))
        case Step.APPROVE:
            return steps.went_through(cycle, await _next_payouts(connection, _RELEASE, cycle, now))
        case Step.END if await lists.over(connection, cycle.id):
            return steps.ended(cycle, await lists.outcome(connection, cycle.id), now)
        case Step.STOP:
            return steps.stopped(file)
        case Step.TAKE_BACK:
            return steps.went_through(cycle, await _next_payouts(connection, _TAKE_BACK, cycle, now))
        case Step.RESUME:
            return steps.resumed(file)
        case Step.END | Step.WAIT | Step.NOTHING:
            return steps.waited(cycle)


async def _next_payouts(connection: AsyncConnection, change: TextClause, cycle: Cycle, now: datetime) -> UUID | None:
    """Change the next payouts of a cycle, and return the last one; None if there were no more."""
    asked = {"cycle": cycle.id, "after": cycle.cursor, "limit": _PAYOUTS_AT_ONCE, "at": now}
    last: UUID | None = (await connection.execute(change, asked)).scalar_one()
    return last


# The batch is chosen by id alone: payouts in another state are skipped and not read again.
_RELEASE: Final = statement(
    f"""
WITH batch AS (
    SELECT id FROM payout WHERE cycle_id = :cycle AND id > CAST(:after AS uuid) ORDER BY id LIMIT :limit
), released AS (
    UPDATE payout AS p SET state = :approved, why = NULL, updated_at = :at FROM batch
    WHERE p.id = batch.id AND p.first_sent_at IS NULL AND p.state = :planned RETURNING p.id
), woken AS (
    {outbox.wakeups(WakeupKind.PAYOUT_DUE, "CAST(id AS text)", "id", "FROM released")}
)
SELECT (SELECT id FROM batch ORDER BY id DESC LIMIT 1)
""",  # noqa: S608 (words of ours alone)
    approved=PayoutState.APPROVED,
    planned=PayoutState.PLANNED,
)

_TAKE_BACK: Final = statement(
    """
WITH batch AS (
    SELECT id FROM payout WHERE cycle_id = :cycle AND id > CAST(:after AS uuid) ORDER BY id LIMIT :limit
), taken_back AS (
    UPDATE payout AS p SET state = :planned, why = 'its cycle was stopped', updated_at = :at FROM batch
    WHERE p.id = batch.id AND p.first_sent_at IS NULL AND p.state = :approved
)
SELECT (SELECT id FROM batch ORDER BY id DESC LIMIT 1)
""",
    approved=PayoutState.APPROVED,
    planned=PayoutState.PLANNED,
)
