"""After a restore, have the rails reconciled: their lists show what the register forgot."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, PROVIDERS, Sight
from referral_rewards.register.clawbacks import forgotten
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.register.restores import mark as marks

#: A provider's clock may differ from ours, and what was sent before the restore may have been paid after it.
_BEFORE: Final = timedelta(days=1)
#: So far back payments are looked for that a register without any may have forgotten.
_WITHOUT_PAYMENTS: Final = timedelta(days=30)
#: Processes that start within this time need one reconciliation. Every provider knows its keys for far longer.
_JUST_NOW: Final = timedelta(minutes=10)
#: Who asks for a reconciliation as a process starts.
STARTER: Final = "the payouts worker, as it started"
#: Who asks for a reconciliation after a rail was opened again.
OPENER: Final = "the payouts worker, after the rail was opened"
#: The rails of providers that list payments.
LISTING: Final = frozenset(rail for rail in PROVIDERS if CATALOGUE[rail].sight is not Sight.OURS)


async def reconcile(connection: AsyncConnection, restored_to: datetime, now: datetime, *, by: str) -> None:
    """Ask for a reconciliation of each provider's rail that a worker ever had, from before the restore until now.

    Somebody who tells of a restore may name too late a moment: the last payment on record was made before it, too. The
    payments of undecided clawback cases are looked up, however old: the register may have forgotten reversals.
    """
    since = min(restored_to, await marks.last_payment(connection) or restored_to) - _BEFORE
    for rail in (await connection.execute(_RAILS, {"rails": sorted(PROVIDERS)})).scalars().all():
        await reconciliations.ask(connection, rail, since, now, by=by, at=now)
    await forgotten.have_asked(connection)


async def once_more(connection: AsyncConnection, now: datetime) -> None:
    """Ask for another reconciliation of each rail that lists payments and was opened again, unless one was since.

    Its last list may be from before a payment was shown that another process had under way, or before a payee was told
    of again.
    """
    for rail, restored_to in (await connection.execute(_OPENED, {"rails": sorted(LISTING)})).all():
        await reconciliations.ask(connection, rail, restored_to - _BEFORE, now, by=OPENER, at=now)


async def at_the_start(connection: AsyncConnection, now: datetime) -> None:
    """Ask for a reconciliation of each provider's rail since the last payment on record, as a process starts.

    A register that was restored together with Temporal does not know that it was: its rails' lists show it. One asked
    for just now by another process is enough.
    """
    if (await connection.execute(_ASKED_SINCE, {"by": STARTER, "at": now - _JUST_NOW})).scalar_one():
        return
    since = (await marks.last_payment(connection) or now - _WITHOUT_PAYMENTS) - _BEFORE
    for rail in (await connection.execute(_RAILS, {"rails": sorted(LISTING)})).scalars().all():
        await reconciliations.ask(connection, rail, min(since, now - _BEFORE), now, by=STARTER, at=now)


_ASKED_SINCE: Final = text("SELECT EXISTS (SELECT 1 FROM reconciliation WHERE asked_at >= :at AND asked_by = :by)")

_RAILS: Final = text("""
SELECT rail FROM rail_connection WHERE rail = ANY(CAST(:rails AS text[])) ORDER BY rail
""")

_OPENED: Final = text("""
SELECT r.rail, r.restored_to FROM restored_rail r
WHERE r.rail = ANY(CAST(:rails AS text[])) AND r.reopened_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM reconciliation c
    WHERE c.rail = r.rail AND c.asked_at > r.reopened_at AND c.since_at <= r.restored_to)
ORDER BY r.rail
""")
