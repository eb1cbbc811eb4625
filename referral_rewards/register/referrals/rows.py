"""Load a referral's row and facts under the row's lock, and save the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ReferralRow
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, advance
from referral_rewards.register import outgoing_events
from referral_rewards.register.queue import upkeep

_table = ReferralRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class LinkedFact:
    """A fact of a referral and the ``facts_version`` at which it was linked."""

    fact: Fact
    version: int


async def hold(connection: AsyncConnection, referral: str) -> Any | None:
    """Return the referral's row, locked until the transaction ends; None if there is no such referral.

    Facts raise ``facts_version`` under the same lock, so what is read now stays true until the commit. The queue is
    updated at the end of the transaction.
    """
    upkeep.watch(connection, referral)
    return (await connection.execute(select(_table).where(_table.c.id == referral).with_for_update())).one_or_none()


async def hold_found(connection: AsyncConnection, statement: TextClause, subject: UUID) -> None:
    """Lock the rows of the referrals that a statement with ``FOR UPDATE`` finds for ``:id``, like `hold`.

    The statement sorts them by their ids: all transactions lock them in that order.
    """
    for referral in (await connection.execute(statement, {"id": subject})).scalars():
        upkeep.watch(connection, referral)


async def row(connection: AsyncConnection, referral: str) -> Any | None:
    """Return the referral's row without a lock."""
    return (await connection.execute(select(_table).where(_table.c.id == referral))).one_or_none()


async def facts(connection: AsyncConnection, referral: str) -> tuple[LinkedFact, ...]:
    """Return all facts linked to a referral, in no particular order."""
    rows = await connection.execute(_FACTS, {"referral": referral})
    return tuple(LinkedFact(fact_of(row), row.version) for row in rows)


def fact_of(row: Any) -> Fact:
    """Return a fact from its row."""
    return Fact(
        id=row.id,
        source=row.source,
        event_id=row.event_id,
        type=FactType(row.type),
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        data=row.data,
        marks=frozenset(row.marks),
        digest=row.digest,
        awaits_stragglers=not row.batch_finished,
    )


async def write(connection: AsyncConnection, before: Any, at: datetime, **values: Any) -> None:
    """Save the verdict to the row, and add a step to the history if the status or its reason changed.

    Raises:
        ImpossibleTransition: before anything is written; it is a bug.
    """
    status, reason = values.get("status", before.status), values.get("reason", before.reason)
    if (status, reason) != (before.status, before.reason):
        advance(ReferralStatus(before.status) if before.status else None, ReferralStatus(status))
        await outgoing_events.note_step(connection, before.id, at, status, reason, before.facts_version)
    changed = {name: value for name, value in values.items() if getattr(before, name) != value}
    if changed:
        await connection.execute(update(_table).where(_table.c.id == before.id).values(changed))


async def relisten(connection: AsyncConnection, referral: str) -> None:
    """Link the facts that did not wake the referral while it was closed, so that it knows all facts when reopened."""
    await connection.execute(_RELINK, {"referral": referral})


async def listen_to_referrer(connection: AsyncConnection, referral: str, program: str, referrer: str) -> None:
    """Make a referral also listen to facts about this referrer, and link those that exist already."""
    about = {"referral": referral, "keys": [f"referrer:{program}/{referrer}", f"payee:{referrer}"]}
    await connection.execute(_LISTEN, about)
    await relisten(connection, referral)


async def steps(connection: AsyncConnection, referral: str) -> Sequence[Any]:
    """Return the referral's history: at, status, reason, facts_version; oldest first."""
    return (await connection.execute(_STEPS, {"referral": referral})).all()


_FACTS: Final = text("""
SELECT f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at, f.data, f.marks, f.digest, rf.version,
       b.finished_at IS NOT NULL AS batch_finished
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id LEFT JOIN ingest_batch b ON b.id = f.batch_id
WHERE rf.referral_id = :referral
""")

_LISTEN: Final = text("""
INSERT INTO referral_key (key, referral_id) SELECT unnest(CAST(:keys AS text[])), :referral ON CONFLICT DO NOTHING
""")

_RELINK: Final = text("""
INSERT INTO referral_fact (referral_id, fact_id, version)
SELECT DISTINCT r.id, fk.fact_id, r.facts_version
FROM referral r JOIN referral_key rk ON rk.referral_id = r.id JOIN fact_key fk USING (key)
WHERE r.id = :referral ON CONFLICT DO NOTHING
""")

_STEPS: Final = text(
    "SELECT at, status, reason, facts_version FROM referral_step WHERE referral_id = :referral ORDER BY id"
)
