"""Advance a payout cycle by one bounded step: gather, freeze, wait for finance, release, wait for payouts, end.

Each step starts from the cycle's row and the signed decisions, and commits its progress. After a crash the next run
continues there, so nothing is paid twice and nothing is lost.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import outbox
from referral_rewards.register.cycles import gathering as cycle_gathering
from referral_rewards.register.cycles import lists as cycle_list
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind

_S = CycleState
#: How many payouts are released, or taken back, in one transaction.
_PAYOUTS_AT_ONCE: Final = 500
#: Sorts before the id of every payout.
_BEGINNING: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class CycleStep:
    """The state of a cycle after a step. ``more``: the next step can be taken at once."""

    state: CycleState
    more: bool


async def step(connection: AsyncConnection, cycle: UUID, now: datetime, keys: KeyRing) -> CycleStep | None:
    """Take the next step of a cycle in the caller's transaction, and return it; None if there is no such cycle."""
    row = await cycles.row(connection, cycle)
    if row is None:
        return None
    gathering = row.state == _S.COLLECTING and not (await cycles.decided(connection, row, keys)).stopped
    # Locks the referrals first, and the cycle's row after them.
    if gathering and await cycle_gathering.gather(connection, row, now, keys):
        return CycleStep(_S.COLLECTING, more=True)
    row = await cycles.hold(connection, cycle)
    assert row is not None
    match row.state:
        case _S.COLLECTING | _S.FROZEN | _S.RELEASED if (await cycles.decided(connection, row, keys)).stopped:
            return await _turned(connection, row, _S.STOPPED, now, keys)
        case _S.COLLECTING:
            return await _freeze(connection, row, now)
        case _S.FROZEN:
            return await _released(connection, row, now, keys)
        case _S.RELEASED:
            return await _send(connection, row, now)
        case _S.STOPPED:
            return await _stopped(connection, row, now, keys)
        case _:
            return CycleStep(_S.DONE, more=False)


async def _freeze(connection: AsyncConnection, row: Any, now: datetime) -> CycleStep:
    """Freeze the list: nothing is added to it any more. A cycle without payouts is done at once."""
    totals = await cycle_list.totals(connection, row.id)
    summary = {"totals": totals, "carried": row.summary.get("carried", [])}
    state = _S.FROZEN if totals else _S.DONE
    await cycles.write(
        connection,
        row.id,
        now,
        state=state,
        cursor=None,
        digest=await cycle_list.digest_of(connection, row.id),
        summary=summary,
        frozen_at=now,
        done_at=None if totals else now,
    )
    return CycleStep(state, more=False)


async def _released(connection: AsyncConnection, row: Any, now: datetime, keys: KeyRing) -> CycleStep:
    """Begin to pay a list that finance released, if it is unchanged since it was frozen."""
    if (await cycles.decided(connection, row, keys)).released_by is None:
        await cycles.write(connection, row.id, now)  # touch the row, so that the sweep does not wake it
        return CycleStep(_S.FROZEN, more=False)
    if await cycle_list.digest_of(connection, row.id) != row.digest:
        summary = {**row.summary, "refused": "the list is not the one that was frozen"}
        await cycles.write(connection, row.id, now, summary=summary)
        return CycleStep(_S.FROZEN, more=False)
    return await _turned(connection, row, _S.RELEASED, now, keys)


async def _send(connection: AsyncConnection, row: Any, now: datetime) -> CycleStep:
    """Approve the next planned payouts and wake their workflows; once none are left, wait until all are at rest."""
    if row.cursor is not None:
        asked = {"cycle": row.id, "after": row.cursor, "limit": _PAYOUTS_AT_ONCE, "at": now}
        last = (await connection.execute(_RELEASE, asked)).scalar_one()
        await cycles.write(connection, row.id, now, cursor=None if last is None else str(last))
        return CycleStep(_S.RELEASED, more=True)
    if not await cycle_list.over(connection, row.id):
        await cycles.write(connection, row.id, now)
        return CycleStep(_S.RELEASED, more=False)
    summary = {**row.summary, "outcome": await cycle_list.outcome(connection, row.id)}
    await cycles.write(connection, row.id, now, state=_S.DONE, done_at=now, summary=summary)
    return CycleStep(_S.DONE, more=False)


async def _stopped(connection: AsyncConnection, row: Any, now: datetime, keys: KeyRing) -> CycleStep:
    """Take back the payouts that are approved and unsent; then wait until a person resumes the cycle."""
    if row.cursor is not None and row.frozen_at is not None:
        asked = {"cycle": row.id, "after": row.cursor, "limit": _PAYOUTS_AT_ONCE, "at": now}
        last = (await connection.execute(_TAKE_BACK, asked)).scalar_one()
        await cycles.write(connection, row.id, now, cursor=None if last is None else str(last))
        return CycleStep(_S.STOPPED, more=True)
    decided = await cycles.decided(connection, row, keys)
    if decided.stopped:
        await cycles.write(connection, row.id, now)
        return CycleStep(_S.STOPPED, more=False)
    if row.frozen_at is None:
        return await _turned(connection, row, _S.COLLECTING, now, keys)
    return await _turned(connection, row, _S.RELEASED if decided.released_by else _S.FROZEN, now, keys)


async def _turned(connection: AsyncConnection, row: Any, to: CycleState, now: datetime, keys: KeyRing) -> CycleStep:
    """Carry out people's decision: change the state.

    Releasing and stopping go through the payouts from the start; gathering continues where it was.
    """
    decided = await cycles.decided(connection, row, keys)
    gathering = row.frozen_at is None
    cursor = row.cursor if gathering else _BEGINNING if to in (_S.RELEASED, _S.STOPPED) else None
    await cycles.write(connection, row.id, now, state=to, turn=decided.turn, cursor=cursor)
    await cycles.note_applied(connection, row, keys, now)
    return CycleStep(to, more=True)


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
