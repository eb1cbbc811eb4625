"""Record that the register was restored, and halt every rail on which something outside may have been forgotten."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.payouts.rail_catalogue import OUTSIDE, title
from referral_rewards.domain.payouts.states import UNSENT
from referral_rewards.domain.restores.mark import Mark, lost
from referral_rewards.register import audit
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.queue import rails as queue
from referral_rewards.register.restores import mark as marks
from referral_rewards.register.restores.forgotten import LATER_KEY

_WHY: Final = "the register was restored to an earlier state and may have forgotten payments"


async def find(connection: AsyncConnection, kept: Mark, now: datetime, *, by: str) -> datetime | None:
    """Record a restore if the register lacks what its mark says, and return to when it was restored; else None.

    Two processes that find the same restore record it once.
    """
    if not lost(kept, await marks.held(connection, kept)):
        return None
    await lock(connection, Lock.RESTORE)
    lacks = lost(kept, await marks.held(connection, kept))
    if not lacks:
        return None
    restored_to = min(await marks.last_payment(connection) or kept.since, now)
    what = f"the register lacks {', '.join(lacks)} of its mark"
    await _record(connection, max(kept.restores, await marks.restores(connection)) + 1, restored_to, now, by, what)
    return restored_to


async def told(connection: AsyncConnection, restored_to: datetime, now: datetime, *, by: str) -> int:
    """Record a restore that a person tells of, halt the rails, and return the restore's number."""
    await lock(connection, Lock.RESTORE)
    number = await marks.restores(connection) + 1
    await _record(connection, number, restored_to, now, by, "told by a person")
    return number


async def shown(connection: AsyncConnection, reconciliation: UUID, rail: str, now: datetime) -> datetime | None:
    """Record a restore if a rail's list shows payments of ours that the register lacks, and return to when; else None.

    So a restore is found that the mark can't tell of, because Temporal was restored to the same moment. What was lost
    is not confined to one rail: every outside rail is halted. A rail that is halted already shows nothing new.
    """
    asked = {"id": reconciliation, "rail": rail}
    if not (await connection.execute(_LACKING, asked)).one().payments:
        return None
    await lock(connection, Lock.RESTORE)
    lacking = (await connection.execute(_LACKING, asked)).one()
    if not lacking.payments:
        return None
    known: list[datetime | None] = [await marks.last_payment(connection), lacking.since, now]
    restored_to = min(each for each in known if each is not None)
    what = f"{title(rail)} shows payments of ours that the register lacks: {lacking.payments}"
    number = await marks.restores(connection) + 1
    await _record(connection, number, restored_to, now, f"a reconciliation of {title(rail)}", what)
    return restored_to


async def _record(
    connection: AsyncConnection, number: int, restored_to: datetime, now: datetime, by: str, what: str
) -> None:
    said = {"number": number, "restored_to": restored_to, "at": now, "by": by, "lost": what}
    await connection.execute(_RESTORED, said)
    halted = {"rails": sorted(OUTSIDE), "number": number, "restored_to": restored_to, "at": now, "why": _WHY}
    await connection.execute(_HALTED, halted)
    await queue.keep_rails(connection, OUTSIDE)
    to = restored_to.isoformat()
    await audit.note(connection, actor=by, act="register.restored", subject=str(number), at=now, restored_to=to)


# A payment that the register knows, in any way, or that was found before, is no news. One that a payout was never sent
# for is: the register has its plan and lacks its sending. So is one under a key that nobody released here.
_LACKING: Final = text(
    spelled(
        f"""
SELECT count(*) AS payments, min(l.made_at) AS since
FROM listed_payment l LEFT JOIN payout p ON p.id = l.names AND p.rail = :rail
WHERE l.reconciliation_id = :id AND l.names IS NOT NULL
  AND (p.id IS NULL OR (p.first_sent_at IS NULL AND p.state IN :unsent) OR {LATER_KEY})
  AND NOT EXISTS (SELECT 1 FROM forgotten_payment f WHERE f.rail = :rail AND f.reference = l.reference)
  AND NOT EXISTS (SELECT 1 FROM payout a WHERE a.provider_reference = l.reference AND a.rail = :rail)
  AND NOT EXISTS (SELECT 1 FROM restored_rail r WHERE r.rail = :rail AND r.reopened_at IS NULL)
""",  # noqa: S608 (constants of ours)
        unsent=UNSENT,
    )
)

_RESTORED: Final = text("""
INSERT INTO register_restore (number, restored_to, found_at, found_by, lost)
VALUES (:number, :restored_to, :at, :by, :lost)
""")

# A rail that is still halted after an earlier restore may have forgotten what was paid since that one, too.
_HALTED: Final = text("""
INSERT INTO restored_rail (rail, restore, restored_to, halted_at, why)
SELECT rail, :number, :restored_to, :at, :why FROM unnest(CAST(:rails AS text[])) AS halted(rail)
ON CONFLICT (rail) DO UPDATE SET
    restore = excluded.restore, halted_at = excluded.halted_at, why = excluded.why,
    restored_to = CASE WHEN restored_rail.reopened_at IS NULL
                       THEN least(restored_rail.restored_to, excluded.restored_to) ELSE excluded.restored_to END,
    reopened_at = NULL, reopened_by = NULL
""")
