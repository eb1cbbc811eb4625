"""Post entries to the books. The database refuses entries that do not balance, and changes to posted ones."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.ledger import Entry, numbered, returned_key, settled_key

_NAMESPACE: Final = UUID("c2d7f6f4-7d0a-5c39-8f5e-2f6e0c7e3b7d")


async def post(connection: AsyncConnection, entry: Entry, *, program: str, referral: str, at: datetime) -> bool:
    """Post an entry once; False if an entry with its key is already posted."""
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


async def settlement(connection: AsyncConnection, payout: UUID, generation: int) -> Settlement:
    """Return what the books show for a payout in one generation of its key."""
    name, back = str(payout), 0
    while (settled := await find(connection, numbered(settled_key(name, generation), back + 1))) is not None:
        if await find(connection, numbered(returned_key(name, generation), back + 1)) is None:
            break
        back += 1
    return Settlement(back, settled)


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

_CREDITS: Final = text("""
SELECT t.id, t.key, t.posted_at, p.account, -p.amount_minor AS amount_minor, p.currency, p.id AS place
FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
WHERE starts_with(p.account, 'credit:') AND t.posted_at >= :since AND (t.posted_at < :until OR p.amount_minor > 0)
  AND p.id > CAST(:after AS bigint)
ORDER BY p.id LIMIT :limit
""")
