"""After a restore, have the rails reconciled: their lists show what the register forgot."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.payouts.rail_catalogue import PROVIDERS
from referral_rewards.register.clawbacks import forgotten
from referral_rewards.register.reconciliations import rows as reconciliations

#: A provider's clock may differ from ours, and what was sent before the restore may have been paid after it.
_BEFORE: Final = timedelta(days=1)


async def reconcile(connection: AsyncConnection, restored_to: datetime, now: datetime, *, by: str) -> None:
    """Ask for a reconciliation of each provider's rail that a worker ever had, from before the restore until now.

    The payments of undecided clawback cases are looked up, however old: the register may have forgotten reversals.
    """
    for rail in (await connection.execute(_RAILS, {"rails": sorted(PROVIDERS)})).scalars().all():
        await reconciliations.ask(connection, rail, restored_to - _BEFORE, now, by=by, at=now)
    await forgotten.have_asked(connection)


_RAILS: Final = text("""
SELECT rail FROM rail_connection WHERE rail = ANY(CAST(:rails AS text[])) ORDER BY rail
""")
