"""A restore lost the approval with its payment, and the claim is approved again long after: its payee is paid once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID, uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from models.session import Database
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.payouts.states import PayoutState, payout_id
from referral_rewards.local.sandbox import stripe
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.register.reconciliations import after_restore
from tests.installation import Installation
from tests.rails.cases import OUTSIDE
from tests.rails.sending import KINDS, Sending
from tests.restores.lives import APPROVERS, live
from tests.restores.registers import KEYS_FORGOTTEN, Restored, beside
from tests.snapshots import Snapshots
from tests.workflows.scenes import sql

_S: Final = PayoutState
MINUTE: Final = timedelta(minutes=1)
#: Which rails can be asked for a payment by its key.
ASKED: Final = ["stripe_transfer", "stripe_balance", "stripe_promotion", "tremendous"]


class Registers:
    """Two copies of a register in which r1 waits for its approval, and a provider, over any rail."""

    def __init__(self, snapshots: Snapshots, environment: WorkflowEnvironment) -> None:
        self._snapshots = snapshots
        self._environment = environment

    @asynccontextmanager
    async def over(self, rail: str) -> AsyncIterator[Restored]:
        fill = _FILLS.setdefault(rail, partial(live, rail, KINDS[rail][1], "review", environment=self._environment))
        async with (
            self._snapshots.of(fill) as (paying, (signer, _)),
            self._snapshots.of(fill) as (restored, _),
            OUTSIDE[rail]() as case,
        ):
            database = Database.at(paying)
            life = Installation(database, self._environment, queue=f"q{uuid4().hex[:8]}", signer=signer)
            before = Sending(life, case, str(payout_id("r1", "referrer")), datetime.now(UTC))
            try:
                async with beside(before, restored) as both:
                    yield both
            finally:
                await database.close()


_FILLS: Final[dict[str, partial[object]]] = {}


@pytest.fixture
def registers(snapshots: Snapshots, temporal_env: WorkflowEnvironment) -> Registers:
    return Registers(snapshots, temporal_env)


async def approve(register: Sending) -> None:
    await register.life.decide("r1", roles=APPROVERS)
    assert (await register.judge()).status == "approved"


async def pay(register: Sending) -> None:
    await approve(register)
    assert (await register.step()).state == _S.SETTLED


@pytest.mark.suite_has(1)
@pytest.mark.parametrize("rail", ASKED)
async def test_what_the_mark_knows_nothing_of_is_looked_up_before_its_first_sending(
    rail: str, registers: Registers
) -> None:
    """A failover lost the last minute; nobody knows, and the claim is approved again once the key is forgotten."""
    async with registers.over(rail) as both:
        kept = await both.mark(both.before)
        await pay(both.before)
        assert not await both.find(kept, KEYS_FORGOTTEN)
        await pay(both.after)
        assert await both.after.settled_once()


async def test_a_payment_under_a_later_key_is_adopted_and_the_first_key_not_sent_again(registers: Registers) -> None:
    """What was under way was refused, and paid under the next key; the restored register knows of neither."""
    async with registers.over("tremendous") as both:
        for register in (both.before, both.after):
            await approve(register)
            register.provider.fail(Fault.NOT_REACHED)
            assert (await register.step()).state == _S.UNKNOWN
        both.before.provider.poor = True
        assert (await both.before.step(MINUTE)).state == _S.WAITING_FUNDS
        both.before.provider.poor = False
        await both.before.decide(MoneyAct.RETRY_PAYOUT)
        assert (await both.before.step(MINUTE)).state == _S.SETTLED
        assert await both.find(await both.mark(both.before), timedelta(hours=2))
        await both.reconcile()
        assert [each.payout_id for each in await both.waiting()] == [both.payout]
        assert (await both.after.step()).state == _S.SETTLED
        assert await both.after.settled_once()
        assert [name for name, *_ in both.after.case.paid()] == [both.after.key(2)]


async def test_whom_only_a_method_names_is_asked_for_on_a_rail_that_lists_by_payee(registers: Registers) -> None:
    """The register knows of no payout to them: all were forgotten, and under other ids."""
    async with registers.over("stripe_balance") as both:
        await pay(both.before)
        other = str(payout_id("r1", "referrer", 7))
        (made,) = both.before.provider.of(stripe.ENTRY)
        made["metadata"].update(payout=other, key=f"{other}-1")
        assert await both.find(await both.mark(both.before))
        await both.reconcile()
        assert [(each.payout_id, each.payee) for each in await both.waiting()] == [(UUID(other), "dexter")]
        await both.reopen()
        await approve(both.after)
        assert (await both.after.step()).state == _S.APPROVED
        assert len(both.after.case.paid()) == 1


async def test_what_a_provider_has_forgotten_by_then_stands_before_a_person(registers: Registers) -> None:
    """It was approved again a month after its rail was opened."""
    async with registers.over("paypal_payouts") as both:
        await pay(both.before)
        assert await both.find(await both.mark(both.before))
        await both.reconcile()
        await both.reopen()
        both.after.provider.clock.pass_time(timedelta(days=31))
        both.after.now += timedelta(days=31)
        await approve(both.after)
        assert (await both.after.step()).state == _S.MANUAL_REVIEW
        assert len(both.after.case.paid()) == 1


async def test_a_payment_to_a_destination_of_nobody_keeps_the_rail_shut(transfer: Restored) -> None:
    """It may have been to any payee, under a method that was forgotten, too."""
    kept = await transfer.pay()
    other = payout_id("r1", "referrer", 7)
    (made,) = transfer.after.provider.of(stripe.TRANSFER)
    made["metadata"]["payout"], made["transfer_group"] = str(other), f"{other}-1"
    made["destination"] = "acct_brie"
    assert await transfer.find(kept)
    await transfer.reconcile()
    assert [each.payee for each in await transfer.waiting()] == [None]
    with pytest.raises(ActRefused, match="1 forgotten payment without a payee must be assigned"):
        await transfer.reopen()
    assert len(transfer.after.case.paid()) == 1


async def test_a_rail_that_is_opened_is_compared_once_more(transfer: Restored) -> None:
    """What another process had under way is shown by the provider only after its list was read."""
    assert await transfer.find(await transfer.pay())
    (made,) = transfer.after.provider.of(stripe.TRANSFER)
    del transfer.after.provider.objects[made["id"]]
    await transfer.reconcile()
    await transfer.reopen()
    transfer.after.now += MINUTE
    async with transfer.after.life.database.transaction() as connection:
        for _ in range(2):
            await after_restore.once_more(connection, transfer.after.now)
    asked = await sql(transfer.after.life, "SELECT asked_by FROM reconciliation WHERE state = 'asked'")
    assert [row.asked_by for row in asked] == [after_restore.OPENER]
    assert await transfer.waiting() == ()
    transfer.after.provider.objects[made["id"]] = made
    await transfer.reconcile()
    assert [each.payout_id for each in await transfer.waiting()] == [transfer.payout]
