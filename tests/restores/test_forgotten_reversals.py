"""After a restore to before a reversal nothing is taken back twice, though it is decided under another key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import make_url

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.payouts import Payouts
from models.session import Database
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import ActRefused
from referral_rewards.local.sandbox import stripe
from referral_rewards.local.sandbox.paypal import PayPal
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.local.sandbox.stripe import Stripe
from referral_rewards.local.sandbox.tremendous import Tremendous
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.reconciliations import after_restore
from referral_rewards.register.restores import halting
from referral_rewards.sources.http import RegisterSource
from tests.clawbacks.paid import PROGRAM, Cashier
from tests.installation import PEPPER
from tests.rails.cases import OUTSIDE
from tests.restores.registers import KEYS_FORGOTTEN
from tests.snapshots import copied

A: Final = MoneyAct
WHOLE: Final = 2500
#: Rails that take back any part of a payment; the others give it back whole or not at all.
IN_PARTS: Final = frozenset({"stripe_transfer", "stripe_balance"})


def taken_minor(cashier: Cashier) -> int:
    """How much the provider has taken back, in minor units."""
    match cashier.case.provider:
        case Stripe() as provider:
            entries = [each["amount"] for each in provider.of(stripe.ENTRY) if each["amount"] > 0]
            codes = [WHOLE for each in provider.of(stripe.CODE) if not each["active"]]
            return sum([*(each["amount"] for each in provider.of(stripe.REVERSAL)), *entries, *codes])
        case PayPal() as provider:
            items = [batch["items"][0] for batch in provider.batches.values()]
            return WHOLE * sum(item["transaction_status"] == "RETURNED" for item in items)
        case Tremendous() as provider:
            return WHOLE * sum(order["status"] == "CANCELED" for order in provider.orders.values())
    raise AssertionError


@asynccontextmanager
async def opened(name: str, database_url: str) -> AsyncIterator[Cashier]:
    async with OUTSIDE[name]() as case:
        if isinstance(case.provider, PayPal):
            case.provider.becomes = "UNCLAIMED"
        cashier = Cashier(Database.at(database_url), case)
        yield cashier
        await cashier.database.close()


@pytest.fixture(params=OUTSIDE)
async def each(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Cashier]:
    async with opened(request.param, database_url) as cashier:
        yield cashier


@pytest.fixture
async def transfer(database_url: str) -> AsyncIterator[Cashier]:
    async with opened("stripe_transfer", database_url) as cashier:
        yield cashier


@asynccontextmanager
async def restored_after(
    cashier: Cashier, postgres_url: str, lost: Callable[[], Awaitable[Any]]
) -> AsyncIterator[None]:
    """In the block the register stands as it did before what it ``lost``, and every provider has forgotten its keys."""
    source = make_url(str(cashier.database._engine.url)).database
    assert source is not None
    await cashier.database.close()
    async with copied(postgres_url, source) as url:
        cashier.database = Database.at(cashier.database._engine.url.render_as_string(hide_password=False))
        await lost()
        await cashier.database.close()
        cashier.database = Database.at(url)
        cashier.case.provider.clock.pass_time(KEYS_FORGOTTEN)
        cashier.now += KEYS_FORGOTTEN
        yield
        await cashier.database.close()


async def reverse(cashier: Cashier, case: UUID, amount_minor: int, *, user: str = "fiona") -> Any:
    """Has somebody reverse so much, carries it out, and returns its row."""
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, amount_minor, user=user)
    await cashier.step(clawback)
    return await cashier.row(clawback)


async def look(cashier: Cashier) -> PayoutProgress:
    """The settled payout is woken: its activity, run once."""
    (row,) = await cashier.sql("SELECT id FROM payout")
    asking = Inquiries(cashier.database, Intake(PEPPER), {"register": RegisterSource()})
    doing = Payouts(cashier.database, cashier.keys, {cashier.rail: cashier.case.rail}, asking, lambda: cashier.now)
    return await doing.send_payout(PayoutRequest(payout=str(row.id), now=cashier.now))


async def halt(cashier: Cashier) -> None:
    async with cashier.database.transaction() as connection:
        await halting.told(connection, cashier.now - timedelta(days=3), cashier.now, by="olga")
        await after_restore.reconcile(connection, cashier.now - timedelta(days=3), cashier.now, by="olga")


async def test_what_was_taken_back_is_counted_and_not_taken_again(each: Cashier, postgres_url: str) -> None:
    amount_minor = 1000 if each.rail in IN_PARTS else WHOLE
    (case,) = await each.paid(1)
    async with restored_after(each, postgres_url, lambda: reverse(each, case, amount_minor)):
        # Days later, and so by another decision and under another key.
        again = await reverse(each, case, amount_minor, user="fritz")
        assert (again.state, again.recovered_minor) == ("reversed", amount_minor)
        assert taken_minor(each) == amount_minor
        assert await each.balance("recoverable:c-brie") == 0
        assert await each.balance(f"clearing:{each.rail}") == amount_minor - WHOLE


async def test_of_a_smaller_part_that_was_taken_the_rest_is_before_a_person_again(
    transfer: Cashier, postgres_url: str
) -> None:
    (case,) = await transfer.paid(1)
    async with restored_after(transfer, postgres_url, lambda: reverse(transfer, case, 400)):
        first = await reverse(transfer, case, 1000)
        assert (first.state, first.recovered_minor) == ("partly_reversed", 400)
        assert first.why == "4.00 USD of it had been taken back before"
        rest = await reverse(transfer, case, 600)
        assert (rest.state, rest.recovered_minor) == ("reversed", 600)
        assert taken_minor(transfer) == 1000


async def test_a_larger_part_that_was_taken_is_counted_for_one_clawback_after_the_other(
    transfer: Cashier, postgres_url: str
) -> None:
    (case,) = await transfer.paid(1)
    async with restored_after(transfer, postgres_url, lambda: reverse(transfer, case, 1000)):
        for amount_minor in (400, 600):
            row = await reverse(transfer, case, amount_minor)
            assert (row.state, row.recovered_minor) == ("reversed", amount_minor)
        assert taken_minor(transfer) == 1000
        assert (await reverse(transfer, case, 100)).state == "reversed"
        assert taken_minor(transfer) == 1100


async def test_two_clawbacks_at_once_count_it_once(transfer: Cashier, postgres_url: str) -> None:
    one, other = await transfer.paid(1, 2000, legs=2)
    async with restored_after(transfer, postgres_url, lambda: reverse(transfer, one, 500)):
        both = [await transfer.act(A.REVERSE_CLAWBACK, case, 500) for case in (one, other)]
        await asyncio.gather(*(transfer.step(each) for each in both))
        for each in both:
            await transfer.step(each)
        rows = [await transfer.row(each) for each in both]
        assert [(each.state, each.recovered_minor) for each in rows] == [("reversed", 500)] * 2
        assert taken_minor(transfer) == 1000


async def test_what_a_person_did_not_find_and_the_rail_shows_is_counted(transfer: Cashier) -> None:
    (case,) = await transfer.paid(1)
    clawback = await transfer.act(A.REVERSE_CLAWBACK, case, 1000)
    transfer.case.provider.fail(Fault.REPLY_LOST)
    await transfer.step(clawback)
    await transfer.sql("UPDATE clawback SET state = 'manual_review'")
    await transfer.act(A.REFUSE_CLAWBACK, case)
    again = await reverse(transfer, case, 1000)
    assert (again.state, taken_minor(transfer)) == ("reversed", 1000)


async def test_nothing_is_taken_while_the_rail_does_not_say_what_it_took(transfer: Cashier, postgres_url: str) -> None:
    (case,) = await transfer.paid(1)
    async with restored_after(transfer, postgres_url, lambda: reverse(transfer, case, 1000)):
        clawback = await transfer.act(A.REVERSE_CLAWBACK, case, 1000)
        transfer.case.provider.fail(Fault.GATEWAY, method="GET")
        assert (await transfer.step(clawback)).state == "unknown"
        assert (await transfer.step(clawback, timedelta(minutes=5))).state == "reversed"
        assert taken_minor(transfer) == 1000


async def test_nothing_is_kept_from_later_payouts_that_the_rail_took_back_before(
    each: Cashier, postgres_url: str
) -> None:
    (case,) = await each.paid(1)
    async with restored_after(each, postgres_url, lambda: reverse(each, case, WHOLE)):
        await halt(each)
        (woken,) = await each.sql("SELECT target FROM outbox WHERE kind = 'payout_due'")
        with pytest.raises(ActRefused, match="is being asked what it took back of this payment"):
            await each.act(A.OFFSET_CLAWBACK, case, WHOLE)
        each.case.provider.fail(Fault.GATEWAY, method="GET")
        silent = await look(each)
        assert (silent.state, silent.again_after is not None) == ("settled", True)
        each.case.provider.heal()
        await look(each)
        assert woken.target == str((await each.sql("SELECT payout_id FROM reversal_look"))[0].payout_id)
        for kept in (A.OFFSET_CLAWBACK, A.WRITE_OFF_CLAWBACK):
            with pytest.raises(ActRefused, match=r"took back 25\.00 USD of this payment already"):
                await each.act(kept, case, WHOLE)
        await each.sql("UPDATE restored_rail SET reopened_at = halted_at")
        assert (await reverse(each, case, WHOLE)).state == "reversed"
        assert taken_minor(each) == WHOLE


async def test_what_was_not_taken_back_can_be_kept_once_the_rail_was_asked(transfer: Cashier) -> None:
    (case,) = await transfer.paid(1)
    transfer.now += timedelta(days=1)
    await halt(transfer)
    with pytest.raises(ActRefused, match="is being asked"):
        await transfer.act(A.OFFSET_CLAWBACK, case, WHOLE)
    await look(transfer)
    await transfer.act(A.OFFSET_CLAWBACK, case, WHOLE)
    assert await transfer.balance("recoverable:c-brie") == WHOLE
    assert await transfer.balance(f"loss:{PROGRAM}") == 0
