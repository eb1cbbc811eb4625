"""Recover offsets: the amount that a settled payout kept counts as recovered, unless that payout comes back.

The caller holds the payout's row. Its deductions hold the amounts kept (`deductions`); the payout's own entry books
them. What an offset has not kept yet can be released, to be taken in another way (`release`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.books.deductions import OpenOffset
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.clawbacks.room import OFFSET_WAITS_DAYS
from referral_rewards.domain.clawbacks.states import OFFSETS, ClawbackState
from referral_rewards.register import outbox, typed_rows
from referral_rewards.register.books import ledger
from referral_rewards.register.locks import lock_each, payee_locks
from referral_rewards.register.outbox import WakeupKind


async def recovered(connection: AsyncConnection, payout: UUID, now: datetime) -> None:
    """Count the amounts that a settled payout kept as recovered."""
    await _wake(connection, (await connection.execute(_RECOVERED, {"payout": payout, "at": now})).scalars(), payout)


async def given_back(connection: AsyncConnection, payout: UUID, now: datetime) -> None:
    """Reopen the offsets that a returned payout had kept, and drop open offsets for the payout's own legs."""
    await _wake(connection, (await connection.execute(_GIVEN_BACK, {"payout": payout, "at": now})).scalars(), payout)
    for row in (await connection.execute(_DROPPED, {"payout": payout, "at": now})).all():
        entry = books.claim_dropped(
            str(row.id),
            row.program,
            row.payee,
            row.amount_minor - row.recovered_minor - row.released_minor,
            row.currency,
        )
        await ledger.post(connection, entry, program=row.program, referral=row.referral_id, at=now)


async def hold_payees(connection: AsyncConnection, case: UUID) -> None:
    """Lock what is planned for the payee of a case with open offsets, until the transaction ends: what they keep.

    The caller holds the referral's row, so that no offset of the case begins meanwhile.
    """
    payees = (await connection.execute(_PAYEES, {"case": case})).scalars().all()
    await lock_each(connection, payee_locks(payees))


async def waiting(connection: AsyncConnection, case: UUID) -> tuple[OpenOffset, ...]:
    """Return what is open of each offset of a case, the oldest first: neither recovered nor kept nor released."""
    return await typed_rows.read(connection, OpenOffset, _WAITING, {"case": case})


async def release(connection: AsyncConnection, parts: Sequence[OpenOffset], now: datetime, *, why: str) -> None:
    """Let offsets wait for so much less; one of which nothing is left has ended. ``why`` says what takes it instead.

    The caller holds the payee (`hold_payees`) and books it.
    """
    asked = {"ids": [each.id for each in parts], "parts": [each.open_minor for each in parts], "why": why, "at": now}
    await connection.execute(_RELEASE, asked)


async def _wake(connection: AsyncConnection, referrals: Iterable[str], payout: UUID) -> None:
    """Have the referrals judged again whose rewards offsets recover: they may now be recovered in full."""
    for referral in sorted(set(referrals)):
        await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout)


_RECOVERED: Final = statement(
    """
UPDATE clawback b SET recovered_minor = b.recovered_minor + d.amount_minor, updated_at = :at,
                      state = CASE WHEN b.recovered_minor + b.released_minor + d.amount_minor = b.amount_minor
                                   THEN :offset
                                   ELSE b.state END
FROM payout_deduction d
WHERE d.payout_id = :payout AND d.live AND d.kind = :kept
  AND b.id = CASE WHEN d.kind = :kept THEN CAST(d.source AS uuid) END
RETURNING b.referral_id
""",
    kept=DeductionKind.OFFSET,
    offset=ClawbackState.OFFSET,
)

_GIVEN_BACK: Final = statement(
    """
UPDATE clawback b SET recovered_minor = b.recovered_minor - d.amount_minor, updated_at = :at, state = :offsetting
FROM payout_deduction d
WHERE d.payout_id = :payout AND d.live AND d.kind = :kept
  AND b.id = CASE WHEN d.kind = :kept THEN CAST(d.source AS uuid) END AND b.state = ANY(:offsets)
RETURNING b.referral_id
""",
    kept=DeductionKind.OFFSET,
    offsetting=ClawbackState.OFFSETTING,
    offsets=OFFSETS,
)

_DROPPED: Final = statement(
    """
UPDATE clawback b SET state = :given_up, why = 'its payment came back by itself', updated_at = :at
FROM leg l WHERE l.id = b.leg_id AND b.payout_id = :payout AND b.state = :offsetting
RETURNING b.*, l.program
""",
    given_up=ClawbackState.UNRECOVERABLE,
    offsetting=ClawbackState.OFFSETTING,
)

_PAYEES: Final = statement(
    "SELECT DISTINCT payee FROM clawback WHERE case_id = :case AND state = :offsetting",
    offsetting=ClawbackState.OFFSETTING,
)

_WAITING: Final = text("""
SELECT * FROM (
    SELECT b.id, b.created_at, waiting_of(b) AS open_minor FROM clawback b WHERE b.case_id = :case
) AS its WHERE open_minor > 0 ORDER BY created_at, id
""")

_RELEASE: Final = statement(
    """
UPDATE clawback b SET released_minor = b.released_minor + r.part, why = :why, updated_at = :at,
                      state = CASE WHEN b.recovered_minor + b.released_minor + r.part < b.amount_minor THEN b.state
                                   WHEN b.recovered_minor > 0 THEN :offset ELSE :given_up END
FROM unnest(CAST(:ids AS uuid[]), CAST(:parts AS bigint[])) AS r(id, part) WHERE b.id = r.id
""",
    offset=ClawbackState.OFFSET,
    given_up=ClawbackState.UNRECOVERABLE,
)

#: What is left of the leg ``l`` to recover: what was paid of it, less what its clawbacks take and what they gave back.
UNTAKEN_MINOR: Final = """CAST(
    CASE WHEN l.state = ANY(:was_paid) THEN l.amount_minor ELSE 0 END
    - coalesce((SELECT sum(taken_by(b)) FROM clawback b WHERE b.leg_id = l.id), 0) + returned_of(l.id) AS bigint)"""

#: What waits of the offsets of the case ``c``, and whether one of them has waited too long.
OF_CASE: Final = f"""
    SELECT CAST(coalesce(sum(waiting_of(b)), 0) AS bigint) AS waiting_minor,
           coalesce(bool_or(waiting_of(b) > 0 AND b.updated_at <= now() - interval '{OFFSET_WAITS_DAYS} days'), false)
               AS overdue
    FROM clawback b WHERE b.case_id = c.id
"""  # noqa: S608 (a number of ours)
