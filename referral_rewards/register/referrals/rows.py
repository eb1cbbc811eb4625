"""Load a referral's row and facts under the row's lock, and save the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, TextClause, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ReferralRow
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.rights import OURSELVES, Rights, Teller
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, advance
from referral_rewards.domain.referrals.referral import LinkedFact, Referral
from referral_rewards.register import outgoing_events, typed_rows
from referral_rewards.register.queue import upkeep

_table = ReferralRow.__table__  # type: ignore[attr-defined]


_NAMES: Final = tuple(each.name for each in fields(Referral))
#: The columns that `of_row` reads.
COLUMNS: Final = ", ".join(_NAMES)


async def hold(connection: AsyncConnection, referral: str) -> Referral | None:
    """Return the referral's row, locked until the transaction ends; None if there is no such referral.

    Facts raise ``facts_version`` under the same lock, so what is read now stays true until the commit. The queue is
    updated at the end of the transaction.
    """
    upkeep.watch(connection, referral)
    locked = (await connection.execute(_HOLD, {"referral": referral})).one_or_none()
    return None if locked is None else of_row(locked)


async def hold_found(connection: AsyncConnection, statement: TextClause, subject: UUID) -> None:
    """Lock the rows of the referrals that a statement with ``FOR UPDATE`` finds for ``:id``, like `hold`.

    The statement sorts them by their ids: all transactions lock them in that order.
    """
    for referral in (await connection.execute(statement, {"id": subject})).scalars():
        upkeep.watch(connection, referral)


async def row(connection: AsyncConnection, referral: str) -> Referral | None:
    """Return the referral's row without a lock."""
    found = (await connection.execute(select(_table).where(_table.c.id == referral))).one_or_none()
    return None if found is None else of_row(found)


async def facts(connection: AsyncConnection, referral: str) -> tuple[LinkedFact, ...]:
    """Return all facts linked to a referral, in no particular order."""
    rows = await connection.execute(_FACTS, {"referral": referral})
    return tuple(LinkedFact(fact_of(row), row.version) for row in rows)


def linked(documents: Sequence[Mapping[str, Any]]) -> tuple[LinkedFact, ...]:
    """Return linked facts from what a statement aggregated as JSON over `FACTS`."""
    return tuple(LinkedFact(fact_of(row), row.version) for row in _FACT_ROWS.validate_python(documents))


@dataclass(frozen=True, slots=True)
class _FactRow:
    id: UUID
    source: str
    event_id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    data: Mapping[str, Any]
    marks: tuple[str, ...]
    digest: str
    version: int
    batch_finished: bool
    teller: Mapping[str, Any] | None


_FACT_ROWS: Final = TypeAdapter(tuple[_FactRow, ...])


def fact_of(row: _FactRow | Row[Any]) -> Fact:
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
        teller=teller_of(row.teller),
    )


def teller_of(document: Mapping[str, Any] | None) -> Teller:
    """Return who told a fact from what `TELLER` reads; None is this installation itself."""
    if document is None:
        return OURSELVES
    token = document["token_id"]
    may = _rights(tuple(document["sources"]), tuple(document["types"]))
    return Teller(document["username"], None if token is None else UUID(str(token)), may)


@lru_cache(maxsize=256)
def _rights(sources: tuple[str, ...], types: tuple[str, ...]) -> Rights:
    """Return rights; the many facts of one teller share them."""
    return Rights(frozenset(sources), frozenset(types))


async def write(connection: AsyncConnection, before: Referral | Row[Any], at: datetime, **values: Any) -> Referral:
    """Save these values to the row and return the row as it now is, as `save` does."""
    before = of_row(before)
    return await save(connection, before, replace(before, **values), at)


async def save(
    connection: AsyncConnection, before: Referral, after: Referral, at: datetime, *, stored: Referral | None = None
) -> Referral:
    """Save what a row says ``after`` a verdict, and return it. ``before`` is the row that was judged.

    A change of the status or its reason adds a step to the history. ``stored`` is the row in the database, if changes
    up to ``before`` were decided and not saved yet; they are saved with these.

    Raises:
        ImpossibleTransition: before anything is written; it is a bug.
    """
    if after.status is not None:
        after = replace(after, status=ReferralStatus(after.status))
    known, step = stored or before, {}
    if (after.status, after.reason) != (before.status, before.reason):
        assert after.status is not None
        advance(before.status, after.status)
        step = {"at": at, "status": after.status, "reason": after.reason, "facts_version": before.facts_version}
    changed = {name: new for name in _NAMES if (new := getattr(after, name)) != getattr(known, name)}
    if changed or step:
        new = {f"new_{name}": value for name, value in changed.items()}
        await connection.execute(_saving(tuple(changed), bool(step)), {"referral": before.id, **step, **new})
    return after


@cache
def _saving(columns: tuple[str, ...], step: bool) -> TextClause:
    """Return the statement that saves these columns of a referral's row, and adds a step to its history."""
    assigned = ", ".join(f"{each} = :new_{each}" for each in columns)
    row = f"UPDATE referral SET {assigned} WHERE id = :referral" if columns else "SELECT 1"  # noqa: S608 (our names)
    said = f"WITH {outgoing_events.STEP} {row}" if step else row
    return text(said).bindparams(*(bindparam(f"new_{each}", type_=_table.c[each].type) for each in columns))


async def relisten(connection: AsyncConnection, referral: str) -> None:
    """Link the facts that did not wake the referral while it was closed, so that it knows all facts when reopened."""
    await connection.execute(_RELINK, {"referral": referral})


async def listen(connection: AsyncConnection, referral: str, keys: Sequence[str]) -> None:
    """Make a referral also listen to facts under these keys, and link those that exist already."""
    await connection.execute(_LISTEN, {"referral": referral, "keys": list(keys)})
    await relisten(connection, referral)


class ReferralStep(NamedTuple):
    """A status that a referral took, why, and on how many of its facts."""

    at: datetime
    status: ReferralStatus
    reason: str | None
    facts_version: int


async def steps(connection: AsyncConnection, referral: str) -> Sequence[ReferralStep]:
    """Return the referral's history, oldest first."""
    return await typed_rows.read(connection, ReferralStep, _STEPS, {"referral": referral})


def of_row(row: Row[Any] | Referral) -> Referral:
    """Return a referral from its row. A statement that locks the referrals of a payout reads such rows by itself."""
    if isinstance(row, Referral):
        return row
    read = Referral(*(getattr(row, name) for name in _NAMES))
    return replace(read, status=ReferralStatus(row.status)) if row.status else read


_HOLD: Final = text(f"SELECT {COLUMNS} FROM referral WHERE id = :referral FOR UPDATE")  # noqa: S608 (ours)

#: Who told the fact ``f``, as `teller_of` reads it.
TELLER: Final = "(SELECT to_jsonb(t) FROM fact_teller t WHERE t.id = f.teller_id) AS teller"

#: The facts of one referral, each with what `fact_of` reads.
FACTS: Final = f"""
SELECT f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at, f.data, f.marks, f.digest, rf.version,
       b.finished_at IS NOT NULL AS batch_finished, {TELLER}
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id LEFT JOIN ingest_batch b ON b.id = f.batch_id
WHERE rf.referral_id = :referral
"""  # noqa: S608 (words of ours alone)
_FACTS: Final = text(FACTS)

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
