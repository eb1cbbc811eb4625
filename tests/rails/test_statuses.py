"""What each word of a provider for the state of a payment comes to, and that these are all the words that it has."""

import itertools
import os
from typing import get_args

import pytest
import stripe

from referral_rewards.domain.books.reconciliation import ListedPage, ListedState
from referral_rewards.domain.payouts.states import Accepted, Declined, Paid, Reversed, Unfunded, Unknown
from referral_rewards.local.sandbox.paypal import PayPal
from referral_rewards.local.sandbox.provider import encoded
from referral_rewards.local.sandbox.tremendous import Tremendous
from referral_rewards.loopback import Message, Receive, Send, reply, served
from referral_rewards.rails import asking
from referral_rewards.rails.access import PayPalAccess
from referral_rewards.rails.paypal_payouts import PayPalPayouts
from tests.rails import documents
from tests.rails.cases import OUTSIDE, key

#: PayPal's words for a batch, and what one that shows no word of its item comes to: that it is done says nothing of
#: the item, which may be unclaimed.
BATCHES = {"PENDING": Accepted, "PROCESSING": Accepted, "SUCCESS": Unknown, "DENIED": Declined, "CANCELED": Declined}
#: Its words for an item, whatever the batch's: what a payment comes to, and what a reversal of it.
ITEMS = {
    "SUCCESS": (Paid, Declined),
    "PENDING": (Accepted, Unknown),
    "UNCLAIMED": (Accepted, type(None)),
    "ONHOLD": (Accepted, Unknown),
    "FAILED": (Declined, Declined),
    "BLOCKED": (Declined, Declined),
    "RETURNED": (Declined, Reversed),
    "REFUNDED": (Declined, Reversed),
    "REVERSED": (Declined, Reversed),
}
#: Tremendous' words for an order; it has given up the first, which orders of before may still bear.
ORDERS = {
    "CART": (Accepted, ListedState.UNDER_WAY),
    "OPEN": (Accepted, ListedState.UNDER_WAY),
    "PENDING APPROVAL": (Accepted, ListedState.UNDER_WAY),
    "PENDING INTERNAL PAYMENT APPROVAL": (Accepted, ListedState.UNDER_WAY),
    "PENDING SETTLEMENT": (Accepted, ListedState.UNDER_WAY),
    "EXECUTED": (Paid, ListedState.PAID),
    "FAILED": (Declined, ListedState.FAILED),
    "CANCELED": (Declined, ListedState.FAILED),
}
#: Stripe's words for an entry on a customer's balance; only the first is made by us or by hand.
ENTRIES = {
    *("adjustment", "applied_to_invoice", "checkout_session_subscription_payment"),
    *("checkout_session_subscription_payment_canceled", "credit_note", "initial", "invoice_overpaid"),
    *("invoice_too_large", "invoice_too_small", "migration", "unapplied_from_invoice", "unspent_receiver_credit"),
}
NEW = "A_WORD_OF_TOMORROW"


async def test_every_word_of_paypal_has_one_meaning() -> None:
    async with OUTSIDE["paypal_payouts"]() as case:
        assert isinstance(case.provider, PayPal)
        asked = case.request()
        paid = await case.rail.pay(asked, key(asked))
        assert isinstance(paid, Paid)
        shown = case.provider.batches[paid.reference]
        (item,) = shown["items"]
        for batch, word in itertools.product(BATCHES, ITEMS):
            shown["batch_header"]["batch_status"], item["transaction_status"] = batch, word
            as_paid = await case.rail.poll(asked, key(asked), paid.reference)
            back = await case.rail.look_up_reversal(asked, paid, 2500, "clawback-1")
            assert (type(as_paid), type(back)) == ITEMS[word], (batch, word)
        del item["transaction_status"]
        for batch, meaning in BATCHES.items():
            shown["batch_header"]["batch_status"] = batch
            assert type(await case.rail.poll(asked, key(asked), paid.reference)) is meaning, batch
        shown["items"] = []
        for batch, meaning in BATCHES.items():
            shown["batch_header"]["batch_status"] = batch
            assert type(await case.rail.poll(asked, key(asked), paid.reference)) is meaning, batch
        # As it was, so that what is held against PayPal's document in the end is of its form.
        shown["items"], item["transaction_status"] = [item], "SUCCESS"


async def test_every_word_of_tremendous_has_one_meaning() -> None:
    async with OUTSIDE["tremendous"]() as case:
        assert isinstance(case.provider, Tremendous)
        asked = case.request()
        paid = await case.rail.pay(asked, key(asked))
        assert isinstance(paid, Paid)
        order = case.provider.orders[key(asked)]
        at = case.provider.clock.now
        for word, (meaning, state) in ORDERS.items():
            order["status"] = word
            assert type(await case.rail.poll(asked, key(asked), paid.reference)) is meaning, word
            listed = await case.rail.listed(at, at.replace(hour=23), None, None)
            assert isinstance(listed, ListedPage)
            assert [each.state for each in listed.payments] == [state], word
        order["status"] = "EXECUTED"
        # How a link came to its reader is no part of whether it was paid: we hand it over ourselves.
        for word in ("SCHEDULED", "PENDING", "FAILED", "SUCCEEDED"):
            order["rewards"][0]["delivery"]["status"] = word
            assert await case.rail.poll(asked, key(asked), paid.reference) == paid


@pytest.mark.parametrize("name", ["paypal_payouts", "tremendous"])
async def test_a_word_that_nobody_knows_is_no_answer(name: str) -> None:
    async with OUTSIDE[name]() as case:
        assert isinstance(case.provider, PayPal | Tremendous)
        case.provider.becomes = NEW
        asked = case.request()
        answer = await case.rail.pay(asked, key(asked))
        assert not isinstance(answer, Paid | Declined | Unfunded)
        reference = next(iter(case.provider.batches)) if isinstance(case.provider, PayPal) else key(asked)
        assert isinstance(await case.rail.poll(asked, key(asked), reference), Unknown)
        # No document has it either.
        case.provider.answered.clear()


async def test_an_item_that_failed_says_why_and_want_of_funds_is_no_refusal() -> None:
    async with OUTSIDE["paypal_payouts"]() as case:
        assert isinstance(case.provider, PayPal)
        case.provider.becomes = "PENDING"
        asked = case.request()
        taken = await case.rail.pay(asked, key(asked))
        assert isinstance(taken, Accepted)
        shown = case.provider.batches[taken.order.reference]
        shown["batch_header"]["batch_status"] = "DENIED"
        (item,) = shown["items"]
        item["transaction_status"] = "FAILED"
        for errors, meaning in (
            ({"name": "RECEIVER_ACCOUNT_LOCKED"}, Declined("PayPal did not pay it (RECEIVER_ACCOUNT_LOCKED)")),
            ({"name": "INSUFFICIENT_FUNDS"}, Unfunded("PayPal did not pay it (INSUFFICIENT_FUNDS)")),
            ({"name": ""}, Declined("PayPal did not pay it (FAILED)")),
            (None, Declined("PayPal did not pay it (FAILED)")),
        ):
            item["errors"] = errors and {**errors, "message": "said", "debug_id": "d1"}
            assert await case.rail.poll(asked, key(asked), taken.order.reference) == meaning
        del item["errors"]


@pytest.mark.parametrize(
    ("status", "name", "meaning"),
    [
        (422, "INSUFFICIENT_FUNDS", Unfunded),
        (400, "INSUFFICIENT_FUNDS", Unfunded),
        (403, "INSUFFICIENT_FUNDS", None),
        (400, "VALIDATION_ERROR", Declined),
        (422, "RECEIVER_UNREGISTERED", Declined),
        # Our own limit: the next payment would fare no better.
        (422, "SPENDING_LIMIT_EXCEEDED", None),
        # It may be one of the key: try again with another, it says, and does not say that nothing was paid.
        (400, "USER_BUSINESS_ERROR", Unknown),
        (500, "INSUFFICIENT_FUNDS", Unknown),
    ],
)
async def test_a_refusal_of_an_order_of_paypal(status: int, name: str, meaning: type | None) -> None:
    async def paypal(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/token"):
            return await reply(send, 200, encoded({"access_token": "t", "expires_in": 60}))
        return await reply(send, status, encoded({"name": name, "message": "no", "debug_id": "d1"}))

    async with served(paypal) as url, asking.client() as client:
        rail = PayPalPayouts(PayPalAccess("an app", "a secret", url), client)
        async with OUTSIDE["paypal_payouts"]() as case:
            asked = case.request()
        answer = await rail.pay(asked, key(asked))
        assert type(answer).__name__ == (meaning.__name__ if meaning else "Misconfigured")


async def test_an_order_that_has_to_be_approved_is_accepted_and_not_asked_for_twice() -> None:
    async with OUTSIDE["tremendous"]() as case:
        assert isinstance(case.provider, Tremendous)
        case.provider.becomes = "PENDING APPROVAL"
        asked = case.request()
        assert isinstance(await case.rail.pay(asked, key(asked)), Accepted)
        assert [response.status for _, response in case.provider.answered] == [202]


def test_stripe_has_no_other_words_for_an_entry() -> None:
    """By its SDK, which Stripe makes from its document; a transfer and a code have no word but yes and no."""
    literals = [each for each in get_args(stripe.CustomerBalanceTransaction.__annotations__["type"]) if get_args(each)]
    assert {word for each in literals for word in get_args(each)} == ENTRIES


@pytest.mark.skipif(documents.FOLDER not in os.environ, reason=documents.MISSING)
@pytest.mark.parametrize(
    ("provider", "name", "words"),
    [
        ("paypal", "batch_enum", BATCHES),
        ("paypal", "transaction_enum", ITEMS),
        ("tremendous", "OrderStatus", ORDERS),
        ("tremendous", "DeliveryStatus", ["SCHEDULED", "PENDING", "FAILED", "SUCCEEDED"]),
    ],
)
def test_a_provider_has_no_other_words(provider: str, name: str, words: dict[str, object]) -> None:
    document = documents.document(provider)
    if document is None:
        pytest.skip("the folder has no document of this provider")
    assert document.words(name) <= set(words)
