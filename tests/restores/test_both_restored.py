"""PostgreSQL and Temporal are restored to one moment: the mark tells nothing, and the rails' lists do."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from activities.messages import ReconciliationRequest
from activities.reconciliations import Reconciliations
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.rail_catalogue import OUTSIDE, Sight
from referral_rewards.domain.payouts.states import PayoutState, payout_id
from referral_rewards.local.sandbox import stripe
from referral_rewards.register.reconciliations import after_restore
from tests.rails.by_parts import compared, listed
from tests.restores.registers import KEYS_FORGOTTEN, Restored
from tests.workflows.scenes import sql
from worker.process import Connections

HALTED: Final = "SELECT rail FROM restored_rail WHERE reopened_at IS NULL ORDER BY rail"
_S: Final = PayoutState


async def start(both: Restored, later: timedelta = timedelta()) -> None:
    """A payouts worker starts on the restored register, so much later, and what it asks for is carried out."""
    both.after.case.provider.clock.pass_time(later)
    both.after.now += later
    await Connections(both.after.life.database, {both.rail: "sandbox"}).say(both.after.now)
    async with both.after.life.database.transaction() as connection:
        await after_restore.at_the_start(connection, both.after.now)
    await both.reconcile()


async def test_a_payment_that_the_register_lacks_halts_every_rail_before_anything_is_sent(transfer: Restored) -> None:
    assert (await transfer.before.step()).state == _S.SETTLED
    await start(transfer, KEYS_FORGOTTEN)
    assert {row.rail for row in await sql(transfer.after.life, HALTED)} == OUTSIDE
    (found,) = await transfer.waiting()
    assert found.payout_id == transfer.payout
    (restore,) = await sql(transfer.after.life, "SELECT * FROM register_restore")
    assert restore.lost == "Stripe transfer shows payments of ours that the register lacks: 1"
    # Its own payout adopts it, and the rail opens once it was reconciled since.
    assert (await transfer.after.step()).state == _S.SETTLED
    await transfer.reconcile()
    await transfer.reopen()
    assert await transfer.after.settled_once()


@pytest.mark.suite_has(3)
async def test_a_rail_that_lists_its_payments_tells_of_it(each: Restored) -> None:
    assert (await each.before.step()).state == _S.SETTLED
    await start(each, KEYS_FORGOTTEN)
    tells = {row.rail for row in await sql(each.after.life, HALTED)} == OUTSIDE
    # One lists payments to payees whom we name, and one nothing: they are only told of by others, or by a person.
    assert tells is (each.after.case.rail.facts.sight in (Sight.ALL, Sight.OURS_MARKED))
    assert len(each.after.case.paid()) == 1


async def test_a_register_that_lacks_nothing_goes_on(transfer: Restored) -> None:
    assert (await transfer.after.step()).state == _S.SETTLED
    await start(transfer, KEYS_FORGOTTEN)
    assert await sql(transfer.after.life, HALTED) == []


async def test_what_somebody_disowned_halts_nothing_again(transfer: Restored) -> None:
    """A payment of another installation that shares the provider's account."""
    assert (await transfer.before.step()).state == _S.SETTLED
    other = payout_id("elsewhere", "referrer")
    (made,) = transfer.after.provider.of(stripe.TRANSFER)
    made["metadata"]["payout"], made["transfer_group"] = str(other), f"{other}-1"
    await start(transfer, KEYS_FORGOTTEN)
    (found,) = await transfer.waiting()
    assert found.payout_id == other
    await transfer.decide(MoneyAct.DISOWN_PAYMENT, found.id)
    await transfer.reconcile()
    await transfer.reopen()
    await start(transfer, timedelta(hours=1))
    assert [row.rail for row in await sql(transfer.after.life, HALTED) if row.rail == transfer.rail] == []


async def test_processes_that_start_together_have_it_looked_at_once(transfer: Restored) -> None:
    for _ in range(2):
        await start(transfer)
    (asked,) = await sql(transfer.after.life, "SELECT * FROM reconciliation")
    assert (asked.rail, asked.asked_by) == (transfer.rail, after_restore.STARTER)
    await start(transfer, timedelta(minutes=11))
    assert len(await sql(transfer.after.life, "SELECT * FROM reconciliation")) == 2


async def test_a_reconciliation_that_breaks_off_records_one_restore(
    transfer: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await transfer.before.step()).state == _S.SETTLED
    transfer.after.now += KEYS_FORGOTTEN
    await Connections(transfer.after.life.database, {transfer.rail: "sandbox"}).say(transfer.after.now)
    async with transfer.after.life.database.transaction() as connection:
        await after_restore.at_the_start(connection, transfer.after.now)
    (asked,) = await sql(transfer.after.life, "SELECT id FROM reconciliation")
    doing = Reconciliations(transfer.after.life.database, {transfer.rail: transfer.after.case.rail})
    request = ReconciliationRequest(reconciliation=str(UUID(str(asked.id))), now=transfer.after.now)
    await listed(doing, request)
    with monkeypatch.context() as broken:
        broken.setattr("activities.reconciliations.forgotten.find", None)
        with pytest.raises(TypeError):
            await compared(doing, request)
    assert {row.rail for row in await sql(transfer.after.life, HALTED)} == OUTSIDE
    await compared(doing, request)
    assert len(await sql(transfer.after.life, "SELECT * FROM register_restore")) == 1
    assert len(await transfer.waiting()) == 1
