"""Posts entries to the books. The database refuses what does not balance and any change of what is posted."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.ledger import Entry

_NAMESPACE: Final = UUID("c2d7f6f4-7d0a-5c39-8f5e-2f6e0c7e3b7d")


async def post(connection: AsyncConnection, entry: Entry, *, program: str, referral: str, at: datetime) -> bool:
    """Posts an entry once; False if one with its key stands in the books already."""
    transaction = uuid5(_NAMESPACE, entry.key)
    result = await connection.execute(
        _POST,
        {
            "id": transaction,
            "key": entry.key,
            "description": entry.description,
            "at": at,
            "program": program,
            "referral": referral,
            "accounts": [line.account for line in entry.lines],
            "amounts": [line.amount_minor for line in entry.lines],
            "currency": entry.currency,
        },
    )
    return bool(result.scalar())


class Posted(NamedTuple):
    """A transaction that stands in the books: what was debited, in minor units, and the account that was credited."""

    id: str
    amount_minor: int
    currency: str
    credited: str


async def find(connection: AsyncConnection, key: str) -> Posted | None:
    """The transaction posted under a key."""
    row = (await connection.execute(_FIND, {"key": key})).one_or_none()
    return None if row is None else Posted(str(row.id), int(row.amount_minor), row.currency, row.credited)


_POST: Final = text("""
WITH posted AS (
    INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
    VALUES (:id, :key, :description, :at, :program, :referral)
    ON CONFLICT (key) DO NOTHING RETURNING id
), lines AS (
    INSERT INTO posting (transaction_id, account, amount_minor, currency)
    SELECT posted.id, l.account, l.amount_minor, :currency
    FROM posted CROSS JOIN unnest(CAST(:accounts AS text[]), CAST(:amounts AS bigint[])) AS l(account, amount_minor)
)
SELECT count(*) > 0 FROM posted
""")

_FIND: Final = text("""
SELECT t.id, sum(p.amount_minor) FILTER (WHERE p.amount_minor > 0) AS amount_minor, p.currency,
       min(p.account) FILTER (WHERE p.amount_minor < 0) AS credited
FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
WHERE t.key = :key GROUP BY t.id, p.currency
""")
