"""What providers' words beside plain success and refusal come to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from referral_rewards.domain.books.reconciliation import ListedState
from referral_rewards.domain.payouts.rail_objections import Objection, ObjectionKind
from referral_rewards.domain.payouts.states import Accepted, Declined, Misconfigured, Paid, Reversed, Unfunded, Unknown
from referral_rewards.local.sandbox.paypal import PayPal
from referral_rewards.local.sandbox.provider import Fault, encoded
from referral_rewards.local.sandbox.stripe import CODE, KEY, Stripe
from referral_rewards.local.sandbox.tremendous import Tremendous
from referral_rewards.loopback import Message, Receive, Send, reply, served
from referral_rewards.rails import asking, stripe_calls
from referral_rewards.rails.access import PayPalAccess, StripeAccess, TremendousAccess
from referral_rewards.rails.paypal_batches import BARRED, NO_FUNDS
from referral_rewards.rails.paypal_payouts import PayPalPayouts
from referral_rewards.rails.port import Foresees
from referral_rewards.rails.stripe_transfer import StripeTransfer
from referral_rewards.rails.tremendous import Tremendous as TremendousRail
from tests.rails.cases import OUTSIDE, Case, key
from tests.rails.test_listing import listed

WANT_OF_FUNDS = ("INSUFFICIENT_FUNDS", "NEGATIVE_BALANCE", "NON_HOLDING_CURRENCY")
OUR_OWN_FAULT = (
    *("SENDER_ACCOUNT_LOCKED", "ACCOUNT_RESTRICTED", "SPENDING_LIMIT_EXCEEDED", "POS_LIMIT_EXCEEDED"),
    *("ACCOUNT_UNCONFIRMED_EMAIL", "USER_COUNTRY_NOT_ALLOWED", "SENDER_STATE_RESTRICTED", "REFUSED_ACTION_DENIED"),
)
THE_PAYEES = ("RECEIVER_ACCOUNT_LOCKED", "RECEIVER_UNREGISTERED", "RECEIVER_UNCONFIRMED", "VALIDATION_ERROR")


def test_the_words_of_paypal_are_all_tried() -> None:
    assert (sorted(NO_FUNDS), sorted(BARRED)) == (sorted(WANT_OF_FUNDS), sorted(OUR_OWN_FAULT))


@pytest.mark.parametrize(
    ("word", "at_once", "later"),
    [
        *((word, Unfunded, (Unfunded, False)) for word in WANT_OF_FUNDS),
        *((word, Misconfigured, (Unfunded, True)) for word in OUR_OWN_FAULT),
        *((word, Declined, (Declined, None)) for word in THE_PAYEES),
    ],
)
@pytest.mark.suite_has(6)
async def test_a_fault_of_our_own_account_refuses_nobody(
    word: str, at_once: type, later: tuple[type, bool | None]
) -> None:
    """Said of the order at once, or of its item later: the order is over then, so that only a new one can pay it."""

    async def provider(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/token"):
            return await reply(send, 200, encoded({"access_token": "t", "expires_in": 60}))
        return await reply(send, 422, encoded({"name": word, "message": "no", "debug_id": "d1"}))

    async with OUTSIDE["paypal_payouts"]() as case:
        assert isinstance(case.provider, PayPal)
        asked = case.request()
        async with served(provider) as url, asking.client() as client:
            refused = await PayPalPayouts(PayPalAccess("an app", "a secret", url), client).pay(asked, key(asked))
        assert type(refused) is at_once
        case.provider.becomes = "PENDING"
        taken = await case.rail.pay(asked, key(asked))
        assert isinstance(taken, Accepted)
        (item,) = case.provider.batches[taken.order.reference]["items"]
        item |= {"transaction_status": "FAILED", "errors": {"name": word, "message": "no", "debug_id": "d1"}}
        answer = await case.rail.poll(asked, key(asked), taken.order.reference)
        assert (type(answer), answer.barred if isinstance(answer, Unfunded) else None) == later
        del item["errors"]


async def test_an_item_that_was_cancelled_meanwhile_is_looked_at_again() -> None:
    """By hand, while ours was on its way; and cancelling sends nothing but its address."""
    async with OUTSIDE["paypal_payouts"]() as case:
        provider = case.provider
        assert isinstance(provider, PayPal)
        provider.becomes = "UNCLAIMED"
        asked = case.request()
        taken = await case.rail.pay(asked, key(asked))
        assert isinstance(taken, Accepted)
        act = provider.act

        def meanwhile(request: Any) -> Any:
            if request.steps[-1] == "cancel":
                provider.move(taken.order.reference, "RETURNED")
            return act(request)

        provider.act = meanwhile  # type: ignore[method-assign]
        back = await case.rail.reverse(asked, taken.order, 2500, "clawback-1")
        assert isinstance(back, Reversed)
        (cancel,) = [each for each in provider.asked if each.steps[-1] == "cancel"]
        assert not cancel.has_body
        assert "content-type" not in cancel.headers


@pytest.mark.parametrize(("status", "meaning"), [("SUCCESS", Declined), ("ONHOLD", Unknown)])
async def test_an_item_that_was_claimed_meanwhile_is_not_taken_back(status: str, meaning: type) -> None:
    async with OUTSIDE["paypal_payouts"]() as case:
        provider = case.provider
        assert isinstance(provider, PayPal)
        provider.becomes = "UNCLAIMED"
        asked = case.request()
        taken = await case.rail.pay(asked, key(asked))
        assert isinstance(taken, Accepted)
        act = provider.act

        def meanwhile(request: Any) -> Any:
            if request.steps[-1] == "cancel":
                provider.move(taken.order.reference, status)
            return act(request)

        provider.act = meanwhile  # type: ignore[method-assign]
        assert type(await case.rail.reverse(asked, taken.order, 2500, "clawback-1")) is meaning


@pytest.mark.parametrize(
    ("source", "status", "held", "funded", "asks"),
    [
        ("SOURCE1", "active", 2500, True, ["SOURCE1"]),
        ("SOURCE1", "active", 2499, False, ["SOURCE1"]),
        ("SOURCE1", "failed", 10**9, False, ["SOURCE1"]),
        ("SOURCE1", "deleted", 10**9, False, ["SOURCE1"]),
        ("BALANCE", "active", 2500, True, ["funding_sources", "SOURCE1"]),
        ("BALANCE", "active", 2499, False, ["funding_sources", "SOURCE1"]),
        ("BALANCE", "failed", 10**9, False, ["funding_sources", "SOURCE1"]),
        # There is no such source, so that nothing can be paid from it.
        ("INVOICE", "active", 10**9, False, ["funding_sources"]),
        ("INVOICE_THEN_BALANCE", "active", 0, None, []),
    ],
)
async def test_a_source_that_only_has_a_method_has_no_page_of_its_own(
    source: str, status: str, held: int, funded: bool | None, asks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OUTSIDE["tremendous"]() as case, asking.client() as client:
        provider = case.provider
        assert isinstance(provider, Tremendous)
        provider.source_status = status
        monkeypatch.setattr(provider, "meta", lambda: {"available_cents": held, "currency_code": "USD"})
        async with served(provider) as url:
            rail = TremendousRail(TremendousAccess("TEST_of_the_sandbox", source, "CAMPAIGN1", url), client)
            asked = case.request()
            assert await rail.funded(asked) is funded
            assert [each.steps[-1] for each in provider.asked] == asks
            assert isinstance(await rail.pay(asked, key(asked)), Paid)


@pytest.mark.parametrize(
    ("currency", "payment", "meaning", "state", "back_minor"),
    [
        ("USD", {}, Paid, ListedState.PAID, 0),
        ("USD", {"subtotal": 25, "total": 25}, Paid, ListedState.PAID, 0),
        ("USD", {"subtotal": 25, "total": 25, "refund": {"total": 0}}, Paid, ListedState.PAID, 0),
        ("USD", {"subtotal": 25, "total": 25.5, "refund": {"total": 10.5}}, Paid, ListedState.PAID, 1050),
        ("USD", {"subtotal": 25, "total": 25.5, "refund": {"total": 25}}, Declined, ListedState.FAILED, 2500),
        ("USD", {"refund": {"total": 25}}, Declined, ListedState.FAILED, 2500),
        ("USD", {"refund": None}, Paid, ListedState.PAID, 0),
        # Refunds are told in dollars: of a reward in euro only one of the whole price can be read.
        ("EUR", {"subtotal": 27.5, "total": 28, "refund": {"total": 27.5}}, Declined, ListedState.FAILED, 2500),
        ("EUR", {"subtotal": 27.5, "total": 28, "refund": {"total": 5}}, Paid, ListedState.PAID, None),
    ],
)
async def test_a_refund_of_tremendous_counts_whatever_the_status_is(
    currency: str, payment: Mapping[str, Any], meaning: type, state: ListedState, back_minor: int | None
) -> None:
    async with OUTSIDE["tremendous"]() as case:
        assert isinstance(case.provider, Tremendous)
        asked = case.request(currency=currency)
        paid = await case.rail.pay(asked, key(asked))
        assert isinstance(paid, Paid)
        order = case.provider.orders[key(asked)]
        order["payment"] = payment
        assert type(await case.rail.poll(asked, key(asked), paid.reference)) is meaning
        (shown,) = await listed(case)
        # How much of it came back can't be said: then no amount is told, and a person looks.
        expected = (state, 0, None) if back_minor is None else (state, back_minor, 2500)
        assert (shown.state, shown.reversed_minor, shown.amount_minor) == expected
        back = await case.rail.look_up_reversal(asked, paid, 2500, "clawback-1")
        assert (type(back) is Reversed) is (back_minor == 2500)
        case.provider.answered.clear()


@pytest.mark.parametrize("status", [400, 429])
async def test_a_rate_limit_is_no_refusal_and_its_code_stands_in_the_body(status: int) -> None:
    async def provider(scope: Message, receive: Receive, send: Send) -> None:
        error = {"type": "invalid_request_error", "code": "rate_limit", "message": "slow down"}
        return await reply(send, status, encoded({"error": error}))

    async with served(provider) as url, asking.client() as client, OUTSIDE["stripe_transfer"]() as case:
        rail = StripeTransfer(stripe_calls.api(StripeAccess(KEY, url), client))
        asked = case.request()
        assert await rail.pay(asked, key(asked)) == Unknown(f"it answered {status} (rate_limit)")


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name.startswith("stripe")])
async def test_an_answer_500_that_stripe_repeats_is_not_asked_for_for_ever(name: str) -> None:
    async with OUTSIDE[name]() as case:
        case.provider.fail(Fault.BROKEN)
        asked = case.request()
        first = await case.rail.pay(asked, key(asked))
        second = await case.rail.pay(asked, key(asked))
        assert isinstance(first, Unknown)
        assert isinstance(second, Unknown)
        assert (first.for_good, second.for_good) == (False, True)
        assert case.paid() == []


async def test_a_code_that_was_deactivated_reads_alike_by_look_up_and_in_the_list() -> None:
    async with OUTSIDE["stripe_promotion"]() as case:
        assert isinstance(case.provider, Stripe)
        asked = case.request()
        paid = await case.rail.pay(asked, key(asked))
        assert isinstance(paid, Paid)
        (code,) = case.provider.of(CODE)
        for active, redeemed, meaning, state in (
            (True, 0, Paid, ListedState.PAID),
            (True, 1, Paid, ListedState.PAID),
            (False, 1, Paid, ListedState.PAID),
            (False, 0, Declined, ListedState.FAILED),
        ):
            code |= {"active": active, "times_redeemed": redeemed}
            assert type(await case.rail.look_up(asked, key(asked))) is meaning
            assert type(await case.rail.poll(asked, key(asked), paid.reference)) is meaning
            assert [each.state for each in await listed(case)] == [state]


async def test_whether_a_connected_account_takes_transfers_can_be_asked_beforehand() -> None:
    async with OUTSIDE["stripe_transfer"]() as case:
        provider, rail = case.provider, case.rail
        assert isinstance(provider, Stripe)
        assert isinstance(rail, Foresees)
        asked = case.request()
        assert await rail.foresee(asked) is None
        provider.not_ready.add("acct_brie")
        found = await rail.foresee(asked)
        assert isinstance(found, Objection)
        assert found.kind is ObjectionKind.NOT_READY
        stranger = await rail.foresee(replace(asked, destination="acct_nobody"))
        assert isinstance(stranger, Objection)
        assert stranger.kind is ObjectionKind.NOT_READY
        assert len(provider.asked) == 3
        # What the rail can say by itself it asks nobody.
        malformed = await rail.foresee(replace(asked, destination="cus_brie"))
        assert isinstance(malformed, Objection)
        assert malformed.kind is ObjectionKind.MALFORMED
        assert len(provider.asked) == 3
        for fault, meaning in ((Fault.SHUT, Misconfigured), (Fault.NOT_REACHED, Unknown), (Fault.BROKEN, Unknown)):
            provider.fail(fault, method="GET")
            assert type(await rail.foresee(asked)) is meaning
        assert {each.method for each in provider.asked} == {"GET"}


@pytest.mark.parametrize("currency", ["IQD", "LYD", "CLF"])
@pytest.mark.parametrize("name", [name for name in OUTSIDE if name.startswith("stripe")])
async def test_a_currency_that_stripe_lacks_is_refused_before_anything_is_sent(name: str, currency: str) -> None:
    async with OUTSIDE[name]() as case:
        asked = case.request(1, 10_000, currency)
        assert isinstance(await case.rail.pay(asked, key(asked)), Declined)
        assert _asked_of(case) == []


def _asked_of(case: Case) -> list[Any]:
    return list(case.provider.asked)
