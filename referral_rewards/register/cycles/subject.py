"""A payout cycle as the subject of a decision: its digest, the acts that are possible now, and who may not decide."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.cycles import authority as cycle_authority
from referral_rewards.domain.cycles.cycle import Cycle
from referral_rewards.domain.decisions.decision import Asked, Decision, Made
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.register import marks, outbox, tellers
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind

_A = MoneyAct


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the cycle under its row's lock. It locks no referrals: each payout locks its own when it is sent.

    Raises:
        NotFound: if there is no such cycle.
    """
    cycle = UUID(asked.subject)
    await connection.execute(_LOCK, {"id": cycle})
    return Held(await shown(connection, cycle, keys), _wake)


async def shown(connection: AsyncConnection, cycle: UUID, keys: KeyRing) -> ActSubject:
    """Return the cycle as a subject, without a lock.

    Raises:
        NotFound: if there is no such cycle.
    """
    row = await cycles.row(connection, cycle)
    if row is None:
        raise NotFound("payout cycle", str(cycle))
    return await _subject(connection, row, keys)


async def released_by(connection: AsyncConnection, cycle: UUID | None, keys: KeyRing) -> frozenset[str]:
    """Return the users who released or resumed the cycle; empty without a cycle."""
    if cycle is None:
        return frozenset()
    return releasers(await decisions.history_of(connection, [cycle], keys))


def releasers(made: Iterable[Made]) -> frozenset[str]:
    """Return the users who released or resumed a cycle, from the decisions on it."""
    releases = (_A.RELEASE_CYCLE, _A.RESUME_CYCLE)
    return frozenset(each.decision.user for each in made if each.decision.kind in releases)


async def _wake(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    cycle = decision.claim_id
    await outbox.enqueue(connection, WakeupKind.CYCLE_DUE, str(cycle), cycle)


async def _subject(connection: AsyncConnection, row: Cycle, keys: KeyRing) -> ActSubject:
    """Build the subject. Its parties, who may not decide, are all payees of the cycle, by any known mark."""
    return ActSubject(
        SubjectKind.CYCLE,
        row.id,
        None,
        row.program,
        row.currency,
        cycle_authority.shown_digest(row.id, row.state, row.digest, row.turn),
        cycle_authority.takes(row.state),
        await marks.of_payees_of_cycle(connection, row.id),
        history=await decisions.history_of(connection, [row.id], keys),
        told_by=await tellers.of_cycle(connection, row.id),
    )


_LOCK: Final = text("SELECT 1 FROM payout_cycle WHERE id = :id FOR UPDATE")
