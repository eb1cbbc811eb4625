"""Orders that are asked about at their vendor, over real HTTP: each state, and what becomes of it."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from referral_rewards.domain.facts.events import Event, Fact
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.rights import rights
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.inquiries import Answer
from referral_rewards.domain.referrals.versions import NOTHING, OnRecord, Version, ours
from referral_rewards.loopback import served
from referral_rewards.sources import shopify as shopify_orders
from referral_rewards.sources import stripe as stripe_orders
from referral_rewards.sources.connecting import connected
from referral_rewards.sources.port import Told
from referral_rewards.sources.vendor import VendorSource
from referral_rewards.vendors.paths import Path
from referral_rewards.vendors.port import Field, SourceMapping
from tests.domain.build import acme
from tests.domain.build import at as instant
from tests.domain.build import fact as stored
from tests.sources.vendors import Held, at, disputed, hubspot, shopify, source, stripe
from tests.vendors import hubspot_samples as deals
from tests.vendors import shopify_samples as orders
from tests.vendors import stripe_life as payments

RECORDED, AMENDED, REVERSED = "conversion.recorded", "conversion.amended", "conversion.reversed"
OPENED, CLOSED, FAILED = "conversion.dispute_opened", "conversion.dispute_closed", "conversion.reversal_failed"
SHOP = SourceMapping(source="shop", accounts=frozenset({orders.SHOP}))


def paid(**changes: Any) -> Held:
    """A Stripe with the checkout ``cs_live_a1``, paid by ``pi_1``."""
    held = stripe()
    session = payments.session(**changes)
    held.objects |= {
        "checkout/sessions/cs_live_a1": session,
        "payment_intents/pi_1": {"id": "pi_1", "object": "payment_intent", "status": "succeeded"},
    }
    held.lists["checkout/sessions"] = [session]
    return held


def subscribed(ended_at: int | None = None, **changes: Any) -> Held:
    """A Stripe with the first invoice of a subscription."""
    held = stripe()
    inside = {"data": [payments.invoice_payment()]}
    held.objects |= {
        "invoices/in_1": payments.invoice(payments=inside, **changes),
        "subscriptions/sub_1": {"id": "sub_1", "object": "subscription", "ended_at": ended_at},
    }
    return held


def with_(held: Held, path: str, *its: dict[str, Any]) -> Held:
    held.lists[path] += its
    return held


@dataclass
class Row:
    """A vendor's state, the order that is asked about, the answer, its sentence, and what its facts say."""

    held: Held
    order: str
    said: str
    facts: list[tuple[str, str | None]]
    answer: Answer = Answer.CONFIRMED
    on_record: OnRecord = field(default_factory=lambda: NOTHING)


OURS = OnRecord(ours=Version(amount="80.00", currency="USD"), until=instant("2026-06-15"))
OF_29 = OnRecord(ours=Version(amount="29.00", currency="USD"), until=instant("2026-06-15"))
DAY = 24 * payments.HOUR
DEALS = str(deals.DEAL)
ORDER = str(orders.ORDER)
C = Answer.CONTRADICTED

ROWS = {
    "stripe: a checkout": Row(paid(), "pi_1", "It knows order pi_1, 80.00 USD.", [(RECORDED, "80.00")]),
    "stripe: refunded in part": Row(
        with_(paid(), "refunds", payments.refund()),
        "pi_1", "It knows order pi_1, 80.00 USD; taken back: 20.00.", [(RECORDED, "80.00"), (REVERSED, "20.00")],
    ),
    "stripe: a refund that failed": Row(
        with_(paid(), "refunds", payments.refund(status="failed")),
        "pi_1", "It knows order pi_1, 80.00 USD.", [(RECORDED, "80.00"), (REVERSED, "20.00"), (FAILED, None)],
    ),
    "stripe: a refund of another payment": Row(
        with_(paid(), "refunds", payments.refund(payment_intent="pi_2")),
        "pi_1", "It knows order pi_1, 80.00 USD.", [(RECORDED, "80.00")],
    ),
    "stripe: disputed": Row(
        with_(paid(), "disputes", payments.dispute()),
        "pi_1", "It knows order pi_1, 80.00 USD; it is disputed.", [(RECORDED, "80.00"), (OPENED, "91.40")],
    ),
    "stripe: a lost dispute": Row(
        with_(paid(), "disputes", payments.dispute(status="lost")),
        "pi_1", "It knows order pi_1, 80.00 USD; taken back: 80.00.",
        [(RECORDED, "80.00"), (OPENED, "91.40"), (CLOSED, "91.40")],
    ),
    "stripe: not paid": Row(paid(payment_status="unpaid"), "pi_1", "It knows order pi_1, but it is not paid.", [], C),
    "stripe: no such payment": Row(stripe(), "pi_1", "It knows no order pi_1.", [], C),
    "stripe: a live subscription": Row(
        subscribed(), "in_1", "It knows order in_1, 29.00 USD.", [(RECORDED, "29.00")]
    ),
    "stripe: a subscription that ended early": Row(
        subscribed(payments.BEGIN + DAY), "in_1",
        "It knows order in_1, but its account was closed or its subscription ended on 2026-06-02, within the return "
        "period.", [(RECORDED, "29.00")], C, OF_29,
    ),
    "stripe: a subscription that ended later": Row(
        subscribed(payments.BEGIN + 30 * DAY), "in_1",
        "It knows order in_1, 29.00 USD; its subscription ended on 2026-07-01.", [(RECORDED, "29.00")],
        on_record=OF_29,
    ),
    "stripe: an invoice that is open": Row(
        subscribed(status="open"), "in_1", "It knows order in_1, but it is not paid.", [], C
    ),
    "stripe: a credit note": Row(
        with_(subscribed(), "credit_notes", payments.credit_note()),
        "in_1", "It knows order in_1, 29.00 USD; taken back: 10.00.", [(RECORDED, "29.00"), (REVERSED, "10.00")],
    ),
    "shopify: paid": Row(
        shopify(orders.order()), ORDER, f"It knows order {ORDER}, 80.00 USD.", [(RECORDED, "80.00"), (AMENDED, "80.00")]
    ),
    "shopify: paid, as we know": Row(
        shopify(orders.order()), ORDER, f"It knows order {ORDER}, 80.00 USD.", [(RECORDED, "80.00")], on_record=OURS
    ),
    "shopify: refunded in part": Row(
        shopify(orders.order(refunds=[orders.refund()], financial_status="partially_refunded")),
        ORDER, f"It knows order {ORDER}, 80.00 USD; taken back: 30.00.",
        [(RECORDED, "80.00"), (AMENDED, "80.00"), (REVERSED, "30.00")],
    ),
    "shopify: cancelled": Row(
        shopify(orders.order(cancelled_at=orders.CHANGED, updated_at=orders.CHANGED)),
        ORDER, f"It knows order {ORDER}, 0.00 USD.", [(RECORDED, "80.00"), (AMENDED, "0.00"), (REVERSED, None)],
    ),
    "shopify: not paid": Row(
        shopify(orders.order(financial_status="pending")), ORDER, f"It knows order {ORDER}, but it is not paid.", [], C
    ),
    "shopify: a test, as somebody may place it": Row(
        shopify(orders.order(test=True)), ORDER, f"It knows order {ORDER}, but it is a test.", [], C, OURS
    ),
    "stripe: of another mode": Row(
        paid(livemode=False), "pi_1",
        "It knows order pi_1, but it is no event of live mode, which this source takes.", [], C, OURS,
    ),
    "shopify: no such order": Row(shopify(), ORDER, f"It knows no order {ORDER}.", [], C),
    "shopify: disputed": Row(
        disputed(shopify(orders.order()), orders.dispute()),
        ORDER, f"It knows order {ORDER}, 80.00 USD; it is disputed.",
        [(RECORDED, "80.00"), (AMENDED, "80.00"), (OPENED, "95.40")],
    ),
    "hubspot: won": Row(
        hubspot(deals.deal()), DEALS, f"It knows order {DEALS}, 1200.00 USD.",
        [(RECORDED, "1200.00"), (AMENDED, "1200.00")],
    ),
    "hubspot: lost, as nobody told us": Row(
        hubspot(deals.deal(dealstage="closedlost")), DEALS, f"It knows order {DEALS}, 0.00.", [(AMENDED, "0.00")],
        on_record=OnRecord(ours=Version(amount="1200.00", currency="USD")),
    ),
    "hubspot: not won yet": Row(
        hubspot(deals.deal(dealstage="qualified")), DEALS,
        f"It knows order {DEALS}, but it says nothing of it that counts.", [], C,
    ),
    "hubspot: deleted": Row(
        hubspot({**deals.deal(), "archived": True}), DEALS, f"It knows order {DEALS}, 0.00.", [(AMENDED, "0.00")],
        on_record=OnRecord(ours=Version(amount="1200.00", currency="USD")),
    ),
    "hubspot: no such deal": Row(hubspot(), DEALS, f"It knows no order {DEALS}.", [], C),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
async def test_what_a_vendor_holds_of_an_order_is_its_answer_and_no_news_when_it_is_asked_again(name: str) -> None:
    row = ROWS[name]
    its = SHOP if row.held.vendor == "shopify" else None
    async with at(row.held, its) as asked:
        told = await asked.order(row.order, None, row.on_record)
        again = await asked.order(row.order, None, _after(told, row.on_record))
    assert (told.answer.answer, told.answer.sentence) == (row.answer, row.said)
    assert list(again.facts) == []
    assert [(each.type.value, each.public.get("amount")) for each in told.facts] == row.facts


def _after(told: Told, before: OnRecord) -> OnRecord:
    """What is on record once the facts of an answer are."""
    facts = tuple(map(_stored, told.facts))
    records = [each for each in facts if each.type == RECORDED]
    found = conversions(facts, records[0].identity, acme()) if records else []
    worth = ours(found[0]) if found else told.answer.theirs if facts else before.ours
    return OnRecord(ours=worth, facts=facts, until=before.until)


def _stored(event: Event) -> Fact:
    return stored(event.type, event.occurred_at, event.data, event_id=event.event_id, source=event.source)


@pytest.mark.parametrize("vendor", ["stripe", "shopify", "hubspot"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "It answered 401: the key of its api is wrong, or may not read this."),
        (403, "It answered 403: the key of its api is wrong, or may not read this."),
        (500, "It answered 500."),
        (429, "It answered 429: it is asked too often."),
    ],
)
async def test_a_vendor_that_does_not_answer_is_unavailable(vendor: str, status: int, said: str) -> None:
    held = {"stripe": stripe, "shopify": shopify, "hubspot": hubspot}[vendor]()
    held.down["*"] = status
    order = {"stripe": "pi_1", "shopify": ORDER, "hubspot": DEALS}[vendor]
    async with at(held, SHOP if vendor == "shopify" else None) as asked:
        told = await asked.order(order)
        assert (told.answer.answer, told.answer.sentence, list(told.facts)) == (Answer.UNAVAILABLE, said, [])
        assert await asked.reachable() == said


async def test_a_wrong_key_is_said_to_the_operator() -> None:
    async with at(paid(), key="another") as asked:
        said = "It answered 401: the key of its api is wrong, or may not read this."
        assert await asked.reachable() == said
        assert (await asked.order("pi_1")).answer.sentence == said


@pytest.mark.parametrize("held", [paid(), shopify(orders.order()), hubspot(deals.deal())])
async def test_a_key_with_all_rights_is_there(held: Held) -> None:
    async with at(held, SHOP if held.vendor == "shopify" else None) as asked:
        assert await asked.reachable() is None


async def test_a_key_that_may_not_read_refunds_is_named_before_a_judgement_needs_it() -> None:
    held = paid()
    held.down["refunds"] = 403
    async with at(held) as asked:
        why = "It answered 403: the key of its api is wrong, or may not read this."
        assert await asked.reachable() == f"Of its refunds: {why}"
        assert (await asked.order("pi_1")).answer.answer is Answer.UNAVAILABLE


async def test_a_process_without_the_key_asks_nothing_and_says_so() -> None:
    held = paid()
    async with at(held, key=None) as asked:
        assert await asked.reachable() == "The key of its api is not set in this process."
        assert (await asked.order("pi_1")).answer.answer is Answer.UNAVAILABLE
        assert (await asked.customer("c-1")).answer.answer is Answer.UNAVAILABLE
    assert held.asked == []


@pytest.mark.parametrize(
    ("state", "answer"),
    [("needs_response", C), ("lost", C), ("won", Answer.CONFIRMED)],
)
async def test_a_dispute_that_our_token_may_not_read_never_passes(state: str, answer: Answer) -> None:
    held = disputed(shopify(orders.order()), orders.dispute(state))
    held.down["shopify_payments/disputes/411.json"] = 403
    async with at(held, SHOP) as asked:
        told = await asked.order(ORDER)
    assert told.answer.answer is answer
    assert (shopify_orders.UNREAD in told.answer.sentence) is (answer is C)


async def test_more_refunds_than_one_page_need_a_person() -> None:
    held = paid()
    held.objects["refunds"] = {"data": [], "has_more": True}
    del held.lists["refunds"]
    async with at(held) as asked:
        told = await asked.order("pi_1")
    assert told.answer.answer is Answer.UNAVAILABLE
    assert told.answer.sentence == "It has more than 100 refunds of this order: a person has to look there."


async def test_an_order_of_the_companys_own_name_is_found_by_what_its_events_linked() -> None:
    """Webhooks said which checkout and payment order o-77 is of. The refund is told under the order, with the id that
    its webhook would give it."""
    its = SourceMapping(source="shop", paths={Field.ORDER: Path("metadata.order_id")})
    held = with_(paid(metadata={"order_id": "o-77"}), "refunds", payments.refund())
    on_record = OnRecord(names=("cs_live_a1", "pi_1", "refunds of ch_1"))
    async with at(held, its) as asked:
        told = await asked.order("o-77", None, on_record)
    assert [each.event_id for each in told.facts] == ["cs_live_a1.paid", "re_1 of o-77"]
    assert {each.public["order"] for each in told.facts} == {"o-77"}


@pytest.mark.parametrize(
    ("held", "its", "said"),
    [
        (stripe(), None, stripe_orders.NOT_NAMED),
        (
            shopify(),
            SourceMapping(source="shop", accounts=SHOP.accounts, paths={Field.ORDER: Path("name")}),
            shopify_orders.NOT_NAMED,
        ),
    ],
)
async def test_an_order_that_no_event_linked_to_a_vendors_id_can_not_be_asked_about(
    held: Held, its: SourceMapping | None, said: str
) -> None:
    async with at(held, its) as asked:
        told = await asked.order("o-77")
    assert (told.answer.answer, told.answer.sentence) == (Answer.UNAVAILABLE, said)
    assert held.asked == []


class Never:
    """Orders of a vendor that never answers."""

    async def look(self, order: OrderName, on_record: OnRecord) -> None:
        await asyncio.Event().wait()

    rights = ("orders",)

    async def check(self, right: str) -> None:
        await asyncio.Event().wait()


async def test_a_vendor_that_takes_too_long_is_unavailable_after_a_bounded_time() -> None:
    asked = VendorSource(source("stripe", "http://127.0.0.1:9"), Never(), patience_seconds=0.01)
    assert (await asked.order("pi_1")).answer.sentence == "It took too long to answer."
    assert await asked.reachable() == "It took too long to answer."


async def test_another_content_under_a_known_id_is_told_so_that_it_contradicts() -> None:
    known = stored(
        RECORDED,
        "2026-06-01",
        {"order": "pi_1", "kind": "purchase", "customer": {}, "amount": "90.00", "currency": "USD"},
        event_id="cs_live_a1.paid",
        source="shop",
    )
    async with at(paid()) as asked:
        told = await asked.order("pi_1", None, OnRecord(ours=OURS.ours, facts=(known,)))
    assert [each.event_id for each in told.facts] == ["cs_live_a1.paid"]


async def test_what_the_source_may_not_tell_makes_its_answer_unusable() -> None:
    held = with_(paid(), "refunds", payments.refund())
    async with served(held) as url:
        narrow = replace(source("stripe", url), rights=rights(("shop",), (RECORDED,)))
        async with connected({"shop": narrow}) as sources:
            told = await sources["shop"].order("pi_1")
    assert (told.answer.answer, list(told.facts)) == (Answer.UNAVAILABLE, [])
    why = "which this source may not tell: add that to its `tells`."
    assert told.answer.sentence == f"It told of a conversion.reversed, {why}"


@pytest.mark.parametrize(
    ("held", "path", "its", "order"),
    [
        (subscribed(), "invoices/in_1", payments.invoice(id="in_2"), "in_1"),
        (subscribed(), "subscriptions/sub_1", {"id": "sub_2", "ended_at": None}, "in_1"),
        (shopify(orders.order()), f"orders/{ORDER}.json", {"order": orders.order(id=7)}, ORDER),
        (hubspot(deals.deal()), f"crm/v3/objects/deals/{DEALS}", {**deals.deal(), "id": "7"}, DEALS),
    ],
)
async def test_the_answer_about_another_order_confirms_none(held: Held, path: str, its: Any, order: str) -> None:
    held.objects[path] = its
    async with at(held, SHOP if held.vendor == "shopify" else None) as asked:
        told = await asked.order(order, None, OURS)
    assert (told.answer.answer, list(told.facts)) == (Answer.UNAVAILABLE, [])
    assert "told of another one" in told.answer.sentence


async def test_an_order_that_bears_another_name_at_its_vendor_by_now_is_not_confirmed() -> None:
    mapping = SourceMapping(source="shop", paths={Field.ORDER: Path("metadata.number")})
    async with at(paid(metadata={"number": "A-2"}), mapping) as asked:
        told = await asked.order("A-1", None, replace(OURS, names=("cs_live_a1",)))
    assert (told.answer.answer, list(told.facts)) == (Answer.CONTRADICTED, [])
    assert told.answer.sentence == "It knows order A-1, but what it holds there is of another order."


@pytest.mark.parametrize(
    ("held", "path", "its", "answer"),
    [
        (subscribed(), "invoices/in_1", payments.invoice(description="\ud83d"), Answer.CONFIRMED),
        (subscribed(), "invoices/in_1", payments.invoice(subscription="s\x00"), Answer.UNAVAILABLE),
        (subscribed(), "invoices/in_1", payments.invoice(subscription="../charges"), Answer.UNAVAILABLE),
        (subscribed(), "subscriptions/sub_1", {"id": "sub_1", "ended_at": 10**30}, Answer.UNAVAILABLE),
        (subscribed(), "subscriptions/sub_1", {"id": "sub_1", "ended_at": "2026-06-02"}, Answer.UNAVAILABLE),
        (subscribed(), "credit_notes", {"data": []}, Answer.UNAVAILABLE),
        (paid(), "checkout/sessions/cs_live_a1", payments.session(payment_status=[]), Answer.UNAVAILABLE),
        (
            subscribed(),
            "refunds",
            {"data": [payments.refund(payment_intent="pi_2")], "has_more": False},
            Answer.UNAVAILABLE,
        ),
    ],
    ids=["a cut emoji", "no address", "not known", "no time", "a text", "more or not", "no word", "another's refund"],
)
async def test_an_odd_answer_stands_before_a_person_and_stops_nothing(
    held: Held, path: str, its: Any, answer: Answer
) -> None:
    held.lists.pop(path, None)
    held.objects[path] = its
    async with at(held) as asked:
        told = await asked.order("cs_live_a1" if "session" in path else "in_1", None, OF_29)
    assert told.answer.answer is answer, told.answer.sentence
