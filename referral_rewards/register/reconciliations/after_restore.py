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
#: The rails of providers that list payments.
LISTING: Final = frozenset(rail for rail in PROVIDERS if CATALOGUE[rail].sight is not Sight.OURS)


async def reconcile(connection: AsyncConnection, restored_to: datetime, now: datetime, *, by: str) -> None:
    """Ask for a reconciliation of each provider's rail that a worker ever had, from before the restore until now.

    The payments of undecided clawback cases are looked up, however old: the register may have forgotten reversals.
    """
    for rail in (await connection.execute(_RAILS, {"rails": sorted(PROVIDERS)})).scalars().all():
        await reconciliations.ask(connection, rail, restored_to - _BEFORE, now, by=by, at=now)
    await forgotten.have_asked(connection)


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
