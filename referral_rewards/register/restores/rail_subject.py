"""A rail as the subject of a decision: whether it is halted after a restore, and what remains before it is opened."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind, subject_digest
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.states import WAITING_FOR_ITS_RAIL
from referral_rewards.domain.restores.forgotten import AfterRestore
from referral_rewards.domain.restores.reopening import UNEXPLAINED, Reconciled, rail_of, remains
from referral_rewards.register import outbox
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.queue import rails as queue
from referral_rewards.register.restores import forgotten

_A = MoneyAct


@dataclass(frozen=True, slots=True)
class Reopening:
    """A rail after a restore: ``after`` is None if it never was halted after one; ``remains`` is what must be done
    before it can be opened again."""

    after: AfterRestore | None
    reconciled: Reconciled | None
    remains: tuple[str, ...]

    @property
    def halted(self) -> bool:
        return self.after is not None and self.after.reopened_at is None


async def reopening(connection: AsyncConnection, rail: str) -> Reopening:
    """Return what stands between a rail and its being opened again."""
    row = (await connection.execute(_STANDING, {"rail": rail})).one()
    after = forgotten.after_restore(row.after)
    if after is None or after.reopened_at is not None:
        return Reopening(after, None, ())
    reconciled = _RECONCILED.validate_python(row.reconciled)
    nameless = sum(not each.names_a_payee for each in await forgotten.unassigned(connection, rail))
    return Reopening(after, reconciled, remains(rail, reconciled, nameless))


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the rail under its row's lock.

    Raises:
        NotFound: if there is no such rail.
    """
    name = UUID(asked.subject)
    await connection.execute(_LOCK, {"rail": rail_of(name)})
    return Held(await shown(connection, name, keys), _opened)


async def shown(connection: AsyncConnection, name: UUID, keys: KeyRing) -> ActSubject:
    """Return the rail as a subject, without a lock.

    Raises:
        NotFound: if there is no such rail.
    """
    rail = rail_of(name)
    if rail is None:
        raise NotFound("rail", str(name))
    its = await reopening(connection, rail)
    halted_at = its.after.halted_at.isoformat() if its.after is not None and its.halted else None
    reconciled = str(its.reconciled.id) if its.reconciled is not None else None
    return ActSubject(
        SubjectKind.RAIL,
        name,
        None,
        "",
        "",
        subject_digest({"rail": rail, "halted_at": halted_at, "reconciled": reconciled, "remains": its.remains}),
        frozenset({_A.REOPEN_RAIL}) if its.halted else frozenset(),
        history=await decisions.history_of(connection, [name], keys),
        obstacles={_A.REOPEN_RAIL: "; ".join(its.remains)} if its.remains else {},
        listed=f"rail {rail}",
    )


async def _opened(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    """Open the rail in the transaction that recorded the decision, and wake the payouts that wait for it."""
    rail = rail_of(decision.claim_id)
    assert rail is not None
    await connection.execute(_REOPEN, {"rail": rail, "at": now, "decision": decision.id})
    await queue.keep_rails(connection, [rail])
    await outbox.wake_payouts(connection, rail, WAITING_FOR_ITS_RAIL)
    await effects.record(connection, [decision.id], "applied", now, "opened again")


_RECONCILED: Final = TypeAdapter(Reconciled | None)

_LOCK: Final = text("SELECT 1 FROM restored_rail WHERE rail = :rail FOR UPDATE")

_REOPEN: Final = text("""
UPDATE restored_rail SET reopened_at = :at, reopened_by = :decision WHERE rail = :rail AND reopened_at IS NULL
""")

_STANDING: Final = text(
    spelled(
        f"""
SELECT {forgotten.AFTER} AS after, (
    SELECT json_build_object('id', c.id, 'state', c.state, 'why', c.why, 'unexplained', (
        SELECT count(*) FROM reconciliation_difference d
        WHERE d.reconciliation_id = c.id AND d.kind IN :unexplained
          AND NOT EXISTS (SELECT 1 FROM forgotten_payment f WHERE f.rail = c.rail AND f.reference = d.reference)))
    FROM reconciliation c JOIN restored_rail r ON r.rail = c.rail
    WHERE c.rail = :rail AND c.asked_at >= r.halted_at AND c.since_at <= r.restored_to AND c.until_at >= r.halted_at
    ORDER BY c.asked_at DESC, c.id DESC LIMIT 1
) AS reconciled
""",  # noqa: S608 (constants of ours)
        unexplained=UNEXPLAINED,
    )
)
