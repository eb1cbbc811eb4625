"""Seal personal data anew with the newest key, a batch at a time, so that an earlier key can be taken away.

Nothing remembers how far it came: what an earlier key sealed says so itself, and is found from the place that the last
batch ended at, or again from the beginning.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.personal import NAME_BYTES, keys_of
from referral_rewards.register.restores.secrets import key_row

BATCH: Final = 1000
_FIRST: Final = UUID(int=0)
#: The tables with sealed rows, in the order in which they are gone through.
TABLES: Final = ("personal_data", "source_payload")


class Place(NamedTuple):
    """Where a batch begins: after this row of this table."""

    table: str
    after: UUID


#: Where the first batch begins.
BEGINNING: Final = Place(TABLES[0], _FIRST)


class KeyUse(NamedTuple):
    """How many rows a key sealed, by its name in hex."""

    key: str
    rows: int


class Resealed(NamedTuple):
    """How many rows a batch sealed anew, and where the next one begins; None: nothing is left."""

    rows: int
    next: Place | None


async def used(connection: AsyncConnection) -> Sequence[KeyUse]:
    """Return which keys sealed how many rows. It reads every row."""
    found = await connection.execute(_USED)
    return [KeyUse(row.key, row.n) for row in found]


async def reseal(connection: AsyncConnection, place: Place, limit: int = BATCH) -> Resealed:
    """Seal the next rows that another key than the newest sealed with the newest one.

    Raises:
        SealBroken: if one can't be opened. Nothing of the batch is changed then.
    """
    keys = keys_of(connection)
    asked = {"newest": keys.newest, "after": place.after, "limit": limit}
    rows = (await connection.execute(_STALE[place.table], asked)).all()
    if rows:
        fresh = [keys.seal(keys.open(row.sealed, of=row.of.bytes), of=row.of.bytes) for row in rows]
        await connection.execute(_RENEW[place.table], {"ids": [row.of for row in rows], "sealed": fresh})
    if len(rows) == limit:
        return Resealed(len(rows), Place(place.table, rows[-1].of))
    others = TABLES[TABLES.index(place.table) + 1 :]
    return Resealed(len(rows), Place(others[0], _FIRST) if others else None)


async def forget_others(connection: AsyncConnection) -> None:
    """Forget that other keys than the newest ever sealed anything here: a process may start without them from now on.

    The caller has seen in the same transaction that nothing is left under them.
    """
    await connection.execute(_FORGET, {"newest": key_row(keys_of(connection).newest)})


_USED: Final = text(f"""
SELECT encode(name, 'hex') AS key, count(*) AS n FROM (
    SELECT substring(sealed FROM 1 FOR {NAME_BYTES}) AS name FROM personal_data WHERE sealed IS NOT NULL
    UNION ALL
    SELECT substring(sealed FROM 1 FOR {NAME_BYTES}) FROM source_payload WHERE sealed IS NOT NULL
) AS every GROUP BY name ORDER BY key
""")  # noqa: S608 (words of ours)

_STALE: Final = {
    "personal_data": text(f"""
SELECT subject_id AS of, sealed FROM personal_data
WHERE subject_id > CAST(:after AS uuid) AND sealed IS NOT NULL
  AND substring(sealed FROM 1 FOR {NAME_BYTES}) <> CAST(:newest AS bytea)
ORDER BY subject_id LIMIT :limit FOR UPDATE
"""),  # noqa: S608 (words of ours)
    "source_payload": text(f"""
SELECT event AS of, sealed FROM source_payload
WHERE event > CAST(:after AS uuid) AND sealed IS NOT NULL
  AND substring(sealed FROM 1 FOR {NAME_BYTES}) <> CAST(:newest AS bytea)
ORDER BY event LIMIT :limit FOR UPDATE
"""),  # noqa: S608 (words of ours)
}

_RENEW: Final = {
    "personal_data": text("""
UPDATE personal_data AS its SET sealed = fresh.sealed
FROM unnest(CAST(:ids AS uuid[]), CAST(:sealed AS bytea[])) AS fresh(id, sealed) WHERE its.subject_id = fresh.id
"""),
    "source_payload": text("""
UPDATE source_payload AS its SET sealed = fresh.sealed
FROM unnest(CAST(:ids AS uuid[]), CAST(:sealed AS bytea[])) AS fresh(id, sealed) WHERE its.event = fresh.id
"""),
}

_FORGET: Final = text("DELETE FROM register_secret WHERE name LIKE 'personal_key %' AND name <> :newest")
