"""What the register holds at last, and whether it still holds what its mark says (`domain.restores.mark`)."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.restores.mark import Held, Mark, Newest, Record
from referral_rewards.register import payout_history


async def newest(connection: AsyncConnection, now: datetime) -> Mark:
    """Return the mark of the register as it is; ``now`` is when it is taken."""
    row = (await connection.execute(_NEWEST)).one()
    ends = {
        Record.DECISIONS: (row.decision, row.decision_hash),
        Record.POSTINGS: (row.posting, row.posting_hash),
        Record.PAYOUT_STEPS: (row.step, row.step_hash),
    }
    found = {record: Newest(number, hashed) for record, (number, hashed) in ends.items() if number is not None}
    return Mark(row.restores, found, now)


async def held(connection: AsyncConnection, kept: Mark) -> Held:
    """Return what the register holds at the numbers of a mark, in one statement."""
    asked = {record: kept.newest[record].number if record in kept.newest else None for record in Record}
    numbers = {
        "decision": asked[Record.DECISIONS],
        "posting": asked[Record.POSTINGS],
        "step": asked[Record.PAYOUT_STEPS],
    }
    row = (await connection.execute(_HELD, numbers)).one()
    return Held(
        row.restores,
        {
            Record.DECISIONS: row.decision_hash,
            Record.POSTINGS: row.posting_hash,
            Record.PAYOUT_STEPS: row.step_hash,
        },
    )


async def restores(connection: AsyncConnection) -> int:
    """Return the number of the newest restore on record, 0 for none."""
    return int((await connection.execute(_RESTORES)).scalar_one())


async def last_payment(connection: AsyncConnection) -> datetime | None:
    """Return when the newest payment on record was sent or asked about; None if there is none.

    Nothing on record is newer than the moment to which the register was restored, as long as no worker has paid since.
    """
    acts = [payout_history.SENT, payout_history.LOOKED_UP, payout_history.POLLED]
    return (await connection.execute(_LAST_PAYMENT, {"acts": acts})).scalar_one_or_none()


def _hashed(*columns: str) -> str:
    """Return the SQL of a hash over columns; the same in every session, whatever its zone."""
    return f"encode(sha256(convert_to(concat_ws('|', {', '.join(columns)}), 'UTF8')), 'hex')"


_POSTING_HASH: Final = _hashed("id", "transaction_id", "account", "amount_minor", "currency")
_STEP_HASH: Final = _hashed(
    "id", "payout_id", "generation", "CAST(extract(epoch FROM at) * 1000000 AS bigint)", "act", "state",
    "coalesce(reference, '')",
)  # fmt: skip

_RESTORES: Final = text("SELECT coalesce(max(number), 0) FROM register_restore")

_NEWEST: Final = text(f"""
SELECT (SELECT coalesce(max(number), 0) FROM register_restore) AS restores,
       d.seq AS decision, d.hash AS decision_hash, p.id AS posting, p.hash AS posting_hash,
       s.id AS step, s.hash AS step_hash
FROM (SELECT 1) AS one
LEFT JOIN LATERAL (SELECT seq, hash FROM decision ORDER BY seq DESC LIMIT 1) AS d ON true
LEFT JOIN LATERAL (SELECT id, {_POSTING_HASH} AS hash FROM posting ORDER BY id DESC LIMIT 1) AS p ON true
LEFT JOIN LATERAL (SELECT id, {_STEP_HASH} AS hash FROM payout_step ORDER BY id DESC LIMIT 1) AS s ON true
""")  # noqa: S608 (columns of ours alone)

_HELD: Final = text(f"""
SELECT (SELECT coalesce(max(number), 0) FROM register_restore) AS restores,
       (SELECT hash FROM decision WHERE seq = CAST(:decision AS bigint)) AS decision_hash,
       (SELECT {_POSTING_HASH} FROM posting WHERE id = CAST(:posting AS bigint)) AS posting_hash,
       (SELECT {_STEP_HASH} FROM payout_step WHERE id = CAST(:step AS bigint)) AS step_hash
""")  # noqa: S608 (columns of ours alone)

_LAST_PAYMENT: Final = text("""
SELECT at FROM payout_step WHERE act = ANY(CAST(:acts AS text[])) ORDER BY id DESC LIMIT 1
""")
