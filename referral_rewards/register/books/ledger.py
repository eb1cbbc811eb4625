"""Post entries to the books. The database refuses entries that do not balance, and changes to posted ones."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.ledger import Entry, numbered, returned_key, settled_key

#: How often a payment under one key may be posted for all of its settlements to be loaded at once.
_TIMES: Final = 2
_NAMESPACE: Final = UUID("c2d7f6f4-7d0a-5c39-8f5e-2f6e0c7e3b7d")


async def post(connection: AsyncConnection, entry: Entry, *, program: str, referral: str, at: datetime) -> bool:
    """Post an entry once; False if an entry with its key is already posted."""
    return bool((await connection.execute(_POST, values(entry, program=program, referral=referral, at=at))).scalar())


def values(entry: Entry | None, *, program: str, referral: str, at: datetime) -> dict[str, Any]:
    """Return an entry as the parameters of `POSTING`; without an entry that posts nothing."""
    return {
        "transaction": uuid5(_NAMESPACE, entry.key) if entry else None,
        "key": entry.key if entry else None,
        "description": entry.description if entry else None,
        "at": at,
        "program": program,
        "referral": referral,
        "accounts": [line.account for line in entry.lines] if entry else [],
        "amounts": [line.amount_minor for line in entry.lines] if entry else [],
        "currency": entry.currency if entry else None,
    }


def values_of(entries: Iterable[Entry], *, program: str, referral: str, at: datetime) -> dict[str, Any]:
    """Return several entries as the parameters of `POSTING_EACH`."""
    named = [(str(uuid5(_NAMESPACE, entry.key)), entry) for entry in entries]
    return {
        "entries": json.dumps([{"id": name, "key": each.key, "description": each.description} for name, each in named]),
        "lines": json.dumps(
            [
                {"id": name, "account": line.account, "amount_minor": line.amount_minor, "currency": each.currency}
                for name, each in named
                for line in each.lines
            ]
        ),
        "program": program,
        "referral": referral,
        "at": at,
    }


class Posted(NamedTuple):
    """A posted transaction: the debited amount in minor units, and the credited account."""

    id: str
    amount_minor: int
    currency: str
    credited: str


async def find(connection: AsyncConnection, key: str) -> Posted | None:
    """Return the transaction posted under a key; None if there is none."""
    row = (await connection.execute(_FIND, {"key": key})).one_or_none()
    return None if row is None else Posted(str(row.id), int(row.amount_minor), row.currency, row.credited)


class Settlement(NamedTuple):
    """How often a payment under one key came ``back``, and the settlement that ``stands`` now; None if none does."""

    back: int
    stands: Posted | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the books show under some ``keys``; they show nothing under those that ``posted`` does not have."""

    keys: frozenset[str] = frozenset()
    posted: Mapping[str, Posted] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Iterable[str], rows: Sequence[Sequence[Any]]) -> "Loaded":
        """Return it from the rows that `POSTED` found. A key with several of them is left for `find` to refuse."""
        times = Counter(key for key, *_ in rows)
        return cls(
            frozenset(key for key in keys if times[key] <= 1),
            {key: Posted(str(name), *its) for key, name, *its in rows if times[key] == 1},
        )


def keys_of(payout: UUID, generations: Iterable[int]) -> list[str]:
    """Return the keys to load for these generations of a payout's key. Payments rarely come back more often."""
    return [
        numbered(key_of(str(payout), generation), time)
        for generation in generations
        for time in range(1, _TIMES + 1)
        for key_of in (settled_key, returned_key)
    ]


async def settlement(
    connection: AsyncConnection, payout: UUID, generation: int, loaded: Loaded = Loaded()
) -> Settlement:
    """Return what the books show for a payout in one generation of its key; what is ``loaded`` is not read again."""
    name, back = str(payout), 0
    while (settled := await _find(connection, numbered(settled_key(name, generation), back + 1), loaded)) is not None:
        if await _find(connection, numbered(returned_key(name, generation), back + 1), loaded) is None:
            break
        back += 1
    return Settlement(back, settled)


async def _find(connection: AsyncConnection, key: str, loaded: Loaded) -> Posted | None:
    return loaded.posted.get(key) if key in loaded.keys else await find(connection, key)


class Credit(NamedTuple):
    """An entry of a customer's credit, in minor units: positive if credited, negative if taken back."""

    id: str
    key: str
    posted_at: datetime
    account: str
    amount_minor: int
    currency: str
    place: str


async def credit_entries(
    connection: AsyncConnection, since: datetime, until: datetime, after: str | None, limit: int
) -> list[Credit]:
    """Return the credits given in a period and those taken back since it began, in posting order.

    ``after`` is the ``place`` of the last entry of the page before.
    """
    found = await connection.execute(_CREDITS, {"since": since, "until": until, "after": after or "0", "limit": limit})
    return [
        Credit(str(row.id), row.key, row.posted_at, row.account, int(row.amount_minor), row.currency, str(row.place))
        for row in found
    ]


#: Two parts of a WITH that post the entry of `values`, unless one with its key is posted.
POSTING: Final = """
posted AS (
    INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
    SELECT CAST(:transaction AS uuid), CAST(:key AS text), :description, CAST(:at AS timestamptz), :program, :referral
    WHERE CAST(:key AS text) IS NOT NULL
    ON CONFLICT (key) DO NOTHING RETURNING id
), lines AS (
    INSERT INTO posting (transaction_id, account, amount_minor, currency)
    SELECT posted.id, l.account, l.amount_minor, :currency
    FROM posted CROSS JOIN unnest(CAST(:accounts AS text[]), CAST(:amounts AS bigint[])) AS l(account, amount_minor)
)"""

#: Two parts of a WITH that post the entries of `values_of`, each unless one with its key is posted.
POSTING_EACH: Final = """
posted AS (
    INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
    SELECT e.id, e.key, e.description, CAST(:at AS timestamptz), :program, :referral
    FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS e(id uuid, key text, description text)
    ON CONFLICT (key) DO NOTHING RETURNING id
), lines AS (
    INSERT INTO posting (transaction_id, account, amount_minor, currency)
    SELECT l.id, l.account, l.amount_minor, l.currency
    FROM ROWS FROM (
        jsonb_to_recordset(CAST(:lines AS jsonb)) AS (id uuid, account text, amount_minor bigint, currency text)
    ) WITH ORDINALITY AS l(id, account, amount_minor, currency, place)
    WHERE l.id IN (SELECT id FROM posted) ORDER BY l.place
)"""

_POST: Final = text(f"WITH {POSTING} SELECT count(*) > 0 FROM posted")  # noqa: S608 (a constant of ours)

#: A list of what the books show under the ``:keys``, for `Loaded`.
POSTED: Final = """(
    SELECT coalesce(json_agg(json_build_array(its.key, its.id, its.amount_minor, its.currency, its.credited)), '[]')
    FROM (
        SELECT t.key, t.id, CAST(sum(p.amount_minor) FILTER (WHERE p.amount_minor > 0) AS bigint) AS amount_minor,
               p.currency, min(p.account) FILTER (WHERE p.amount_minor < 0) AS credited
        FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
        WHERE t.key = ANY(CAST(:keys AS text[])) GROUP BY t.id, p.currency
    ) AS its
)"""

_FIND: Final = text("""
SELECT t.id, sum(p.amount_minor) FILTER (WHERE p.amount_minor > 0) AS amount_minor, p.currency,
       min(p.account) FILTER (WHERE p.amount_minor < 0) AS credited
FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
WHERE t.key = :key GROUP BY t.id, p.currency
""")

_CREDITS: Final = text("""
SELECT t.id, t.key, t.posted_at, p.account, -p.amount_minor AS amount_minor, p.currency, p.id AS place
FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
WHERE starts_with(p.account, 'credit:') AND t.posted_at >= :since AND (t.posted_at < :until OR p.amount_minor > 0)
  AND p.id > CAST(:after AS bigint)
ORDER BY p.id LIMIT :limit
""")
