"""The locks of a payout are taken in one order, and what is read under them is the newest."""

import asyncio
from uuid import UUID

from sqlalchemy import text

from referral_rewards.register.payouts import renewal
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts.rows import Held
from referral_rewards.register.referrals import rows as referrals
from tests.rails.sending import Sending
from tests.workflows.scenes import sql

_WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def _held(sending: Sending, *, renewed: bool) -> Held:
    async with sending.life.database.transaction() as connection:
        payout = UUID(sending.payout)
        if renewed:
            return await renewal.hold(connection, payout, sending.now)
        return await payout_rows.hold(connection, payout)


async def test_a_payout_is_locked_after_its_referral_and_read_as_it_stands_by_then(transfer: Sending) -> None:
    for renewed in (False, True):
        why = f"changed while it was waited for, {renewed}"
        async with transfer.life.database.transaction() as first:
            await referrals.hold(first, "r1")
            waiting = asyncio.create_task(_held(transfer, renewed=renewed))
            while not await sql(transfer.life, _WAITING):
                await asyncio.sleep(0.01)
            # If it held the payout already, neither could go on.
            await first.execute(
                text("UPDATE payout SET why = :why WHERE id = :id"), {"why": why, "id": transfer.payout}
            )
        held = await waiting
        assert (held.payout.why, held.named) == (why, ("r1",))
