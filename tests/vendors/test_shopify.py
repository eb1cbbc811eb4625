"""What Shopify's events say: one row for each, and for each way in which an order, a refund or a dispute differs."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.facts.orders import OrderName, orders_in
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.vendors import shopify
from referral_rewards.vendors.port import Field, Mode, Told, Unreadable, Vendor
from referral_rewards.vendors.shopify import Shopify
from tests.domain.build import acme, fact
from tests.vendors.reading import data, mapping, rows, stored, types
from tests.vendors.shopify_samples import (
    CHANGED,
    ORDER,
    SAMPLES,
    SHOP,
    discrepancy,
    dispute,
    line,
    money,
    order,
    payment,
    read,
    refund,
    shipping,
    signed,
    tax,
    taxed,
    told,
)

NOW: Final = datetime(2026, 7, 10, 14, 0, tzinfo=UTC)
RECORDED, AMENDED, REVERSED = "conversion.recorded", "conversion.amended", "conversion.reversed"
OPENED, CLOSED, FAILED = "conversion.dispute_opened", "conversion.dispute_closed", "conversion.reversal_failed"
CLAIMED: Final = "referral.claimed"
#: What a claim says that begins a referral.
BEGUN: Final = {"program": "acme-friends", "channel": "link"}
TEN: Final = [{"amount": "10.00", "amount_set": money("10.00")}]


def test_it_is_a_vendor() -> None:
    vendor: Vendor = Shopify()
    assert vendor.name == "shopify"
    assert vendor.events(told("orders/paid", order())) == (told("orders/paid", order()),)


# The guide


@pytest.mark.parametrize("topic", sorted(SAMPLES))
def test_the_guide_says_what_becomes_of_each_event(topic: str) -> None:
    reading = read(topic, SAMPLES[topic])
    assert set(types(reading)) == rows("shopify.md")[topic]
    assert (reading.ignored is None) == bool(reading.facts)


def test_the_guide_names_no_event_that_is_not_tried_here() -> None:
    assert rows("shopify.md").keys() == SAMPLES.keys()
    assert shopify.IGNORED.keys() <= SAMPLES.keys()


def test_an_unknown_topic_is_ignored_and_says_so() -> None:
    assert read("products/update", {}).ignored == shopify.OTHER_TOPIC


# The signature


def test_a_body_signed_with_any_of_our_secrets_is_genuine() -> None:
    request = signed(told("orders/paid", order()), "old")
    Shopify().verify(["new", "old"], request, mapping(), NOW)


@pytest.mark.parametrize(
    ("secrets", "request_"),
    [
        (["right"], signed(told("orders/paid", order()), "wrong")),
        (["right"], told("orders/paid", order())),
        (["right"], signed(told("orders/paid", order()), "right")._replace(body=b"{}")),
        ([], signed(told("orders/paid", order()), "right")),
        ([""], signed(told("orders/paid", order()), "")),
    ],
    ids=["another secret", "no signature", "another body", "no secret set", "an empty secret"],
)
def test_any_other_body_is_refused(secrets: list[str], request_: Told) -> None:
    with pytest.raises(NotGenuine) as refusal:
        Shopify().verify(secrets, request_, mapping(), NOW)
    assert "right" not in str(refusal.value)


def test_two_deliveries_of_one_event_have_one_id_and_two_topics_of_it_have_two() -> None:
    ids = {"x-shopify-event-id": "e1"}
    first = told("orders/paid", order(), **ids, **{"x-shopify-webhook-id": "w1"})
    again = told("orders/paid", order(), **ids, **{"x-shopify-webhook-id": "w2"})
    other = told("orders/updated", order(), **ids)
    found = [Shopify().read(each, mapping()).event_id for each in (first, again, other)]
    assert found == ["orders/paid/e1", "orders/paid/e1", "orders/updated/e1"]


@pytest.mark.parametrize("lacking", ["x-shopify-topic", "x-shopify-event-id"])
def test_without_its_headers_nothing_can_be_read(lacking: str) -> None:
    request = told("orders/paid", order(), **{lacking: "", "x-shopify-webhook-id": ""})
    with pytest.raises(Unreadable, match=lacking):
        Shopify().read(request, mapping())


# Whether it counts


@pytest.mark.parametrize(
    ("changes", "mode", "why"),
    [
        ({"financial_status": "pending"}, Mode.LIVE, shopify.NOT_PAID),
        ({"financial_status": "authorized"}, Mode.LIVE, shopify.NOT_PAID),
        ({"financial_status": "partially_paid"}, Mode.LIVE, shopify.NOT_PAID),
        ({"financial_status": "voided"}, Mode.LIVE, shopify.NOT_PAID),
        ({"test": True}, Mode.LIVE, shopify.IS_TEST),
        ({"test": False}, Mode.TEST, shopify.IS_NO_TEST),
        ({"test": True}, Mode.TEST, None),
        ({"financial_status": "partially_refunded"}, Mode.LIVE, None),
    ],
)
def test_an_order_counts_once_it_is_paid_in_the_world_that_the_source_takes(
    changes: dict[str, Any], mode: Mode, why: str | None
) -> None:
    # The topic is not signed: what the body says decides.
    assert read("orders/paid", order(**changes), mapping(mode=mode)).ignored == why


def test_a_test_refund_is_ignored() -> None:
    assert read("refunds/create", refund(transactions=[payment("30.00", test=True)])).ignored == shopify.IS_TEST


def test_a_shop_that_is_not_named_is_ignored_where_shops_are_named() -> None:
    assert read("orders/paid", order(), mapping(accounts=frozenset({SHOP}))).ignored is None
    its = mapping(accounts=frozenset({"other.myshopify.com"}))
    assert read("orders/paid", order(), its).ignored == shopify.OTHER_SHOP


# What it is worth


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({}, "80.00"),
        ({"subtotal_price": "80", "subtotal_price_set": None}, "80.00"),
        ({"subtotal_price_set": money("75.50")}, "75.50"),
        ({"taxes_included": True, "line_items": [line(tax_lines=tax("13.33"))]}, "66.67"),
        ({"taxes_included": False, "line_items": [line(tax_lines=tax("13.33"))]}, "80.00"),
        ({"line_items": [line("50.00"), line("30.00", gift_card=True)]}, "50.00"),
        ({"line_items": [line("80.00", gift_card=True)]}, "0.00"),
        ({"line_items": [line("50.00"), line("20.00", gift_card=True, quantity=2, discount_allocations=TEN)]}, "50.00"),
        ({"cancelled_at": CHANGED}, "0.00"),
        ({"subtotal_price": "0.00", "subtotal_price_set": money("0.00")}, "0.00"),
    ],
    ids=["plain", "without sets", "the shop's money", "tax in its prices", "tax beside them", "a gift card within",
         "a gift card alone", "gift cards with a discount", "cancelled", "for nothing"],
)  # fmt: skip
def test_an_order_is_worth_its_goods_alone(changes: dict[str, Any], amount: str) -> None:
    told_of_it = data(read("orders/paid", order(**changes)), RECORDED)
    assert (told_of_it["amount"], told_of_it["currency"]) == (amount, "USD")


@pytest.mark.parametrize("missing", ["id", "currency", "subtotal_price", "processed_at"])
def test_a_selection_of_fields_is_unreadable(missing: str) -> None:
    lacking = {"created_at": None} if missing == "processed_at" else {}
    with pytest.raises(Unreadable, match=f"{missing}: is missing; send the whole object"):
        read("orders/paid", order(**{missing: None}, **lacking))


def test_an_amount_that_is_none_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="amount: is no amount"):
        read("orders/paid", order(subtotal_price_set=money("eighty")))


# What is given back


@pytest.mark.parametrize(
    ("changes", "included", "amount"),
    [
        ({}, False, "30.00"),
        ({"order_adjustments": shipping("9.00")}, False, "30.00"),
        ({"order_adjustments": discrepancy("-5.00")}, False, "35.00"),
        ({"order_adjustments": discrepancy("10.00")}, False, "20.00"),
        ({"refund_line_items": [], "order_adjustments": discrepancy("-12.50")}, False, "12.50"),
        ({"refund_line_items": taxed("30.00", "5.00")}, False, "30.00"),
        ({"refund_line_items": taxed("30.00", "5.00")}, True, "25.00"),
        ({"refund_line_items": [], "order_adjustments": shipping("9.00")}, False, None),
        ({"order_adjustments": discrepancy("30.00"), "transactions": []}, False, None),
        ({"refund_line_items": [{"subtotal_set": money("30.00"), "line_item": line(gift_card=True)}]}, False, None),
    ],
    ids=["a line", "shipping beside", "more than the line", "less than the line", "an amount without lines",
         "tax beside", "tax within", "shipping alone", "taken back for nothing", "a gift card"],
)  # fmt: skip
def test_what_is_given_back_for_goods_is_reversed(changes: dict[str, Any], included: bool, amount: str | None) -> None:
    whole = order(refunds=[refund(**changes)], taxes_included=included, updated_at=CHANGED, line_items=[line("96.00")])
    said = [each["data"] for each in read("orders/updated", whole).facts if each["type"] == REVERSED]
    assert [each["amount"] for each in said] == ([] if amount is None else [amount])


@pytest.mark.parametrize(
    ("paid", "more", "amount"),
    [
        ("30.00", {}, "25.00"),
        ("35.00", {}, "30.00"),
        ("39.00", {"order_adjustments": shipping("9.00")}, "25.00"),
        ("39.00", {"refund_shipping_lines": [{"subtotal_amount_set": money("9.00"), "shipping_line": {}}]}, "25.00"),
        ("99.00", {}, "30.00"),
    ],
    ids=["tax within", "tax beside", "with shipping", "with shipping lines", "neither"],
)
def test_a_refund_alone_tells_by_its_payments_whether_prices_include_tax(
    paid: str, more: dict[str, Any], amount: str
) -> None:
    its = refund(refund_line_items=taxed("30.00", "5.00"), transactions=[payment(paid)], **more)
    assert data(read("refunds/create", its), REVERSED)["amount"] == amount


def test_a_refund_is_one_fact_whichever_event_tells_it() -> None:
    its = refund(refund_line_items=taxed("30.00", "5.00"))
    alone = read("refunds/create", its).facts
    within = read("orders/updated", order(refunds=[its], taxes_included=True, updated_at=CHANGED)).facts
    assert [each for each in within if each["type"] == REVERSED] == list(alone)
    assert data(read("refunds/create", its), REVERSED) == {
        "order": str(ORDER), "reversal": "61", "kind": "refund", "amount": "25.00", "currency": "USD",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "told_of_it"),
    [
        (["success"], [REVERSED]),
        (["pending"], [REVERSED]),
        (["failure"], [REVERSED, FAILED]),
        (["failure", "success"], [REVERSED]),
        (["error", "failure"], [REVERSED, FAILED]),
        ([], [REVERSED]),
    ],
)
def test_a_refund_whose_payments_all_failed_is_undone(statuses: list[str], told_of_it: list[str]) -> None:
    its = refund(transactions=[payment("30.00", status) for status in statuses])
    assert types(read("refunds/create", its)) == told_of_it


def test_a_cancelled_order_is_worth_nothing_and_says_why() -> None:
    whole = order(cancelled_at=CHANGED, updated_at=CHANGED, financial_status="voided")
    reading = read("orders/cancelled", whole)
    assert types(reading) == [AMENDED, REVERSED]
    assert (data(reading, AMENDED)["amount"], data(reading, REVERSED)["kind"]) == ("0.00", "cancellation")


# Disputes


@pytest.mark.parametrize(
    ("status", "type_", "outcome"),
    [
        ("needs_response", "chargeback", None),
        ("under_review", "inquiry", None),
        ("won", "chargeback", "won"),
        ("won", "inquiry", "inquiry_closed"),
        ("lost", "chargeback", "lost"),
        ("accepted", "chargeback", "lost"),
        ("charge_refunded", "inquiry", "refunded"),
        ("prevented", "inquiry", "prevented"),
    ],
)
def test_a_dispute_is_told_with_how_it_ended(status: str, type_: str, outcome: str | None) -> None:
    reading = read("disputes/update", dispute(status, type=type_))
    assert types(reading) == ([OPENED] if outcome is None else [OPENED, CLOSED])
    opened = data(reading, OPENED)
    assert (opened["order"], opened["dispute"], opened["amount"]) == (str(ORDER), "411", "95.40")
    if outcome is not None:
        assert data(reading, CLOSED) == {**opened, "outcome": outcome}


def test_a_dispute_that_ended_on_the_day_it_began_ends_after_it_began() -> None:
    first, last = read("disputes/update", dispute("lost", finalized_on="2026-07-20")).facts
    assert first["time"] == last["time"]


def test_a_state_of_a_dispute_that_we_do_not_know_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="status: is no state of a dispute that we know; one of accepted, "):
        read("disputes/update", dispute("escalated"))


def test_a_dispute_about_no_order_is_ignored() -> None:
    assert read("disputes/create", dispute(order_id=None)).ignored == shopify.NO_ORDER


# Who and where


def test_a_customer_is_told_with_all_that_identifies_them() -> None:
    said = data(read("orders/paid", order()), RECORDED)
    assert said["customer"] == {
        "customer": "9001",
        "email": "brie@example.com",
        "phone": "+14165550173",
        "name": "Brie Cheese",
        "country": "CA",
    }
    assert (said["ip"], said["user_agent"], said["coupon"]) == ("203.0.113.9", "Mozilla/5.0", "REF-DEXTER")
    assert said["kind"] == "purchase"
    assert "new_customer" not in said


def test_a_sale_at_the_till_to_nobody_known_can_be_linked_by_hand() -> None:
    nobody = order(
        source_name="pos", email="", customer=None, billing_address=None, browser_ip=None, client_details=None
    )
    said = data(read("orders/paid", nobody), RECORDED)
    assert said["customer"] == {}
    assert data(read("orders/paid", nobody, mapping(kinds={"pos": "sale_at_the_till"})), RECORDED)["kind"] == (
        "sale_at_the_till"
    )


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("customer.orders_count", 1, True),
        ("customer.orders_count", "3", False),
        ("customer.is_new", True, True),
        ("customer.is_new", "false", False),
        ("customer.nothing", None, None),
    ],
)
def test_whether_a_customer_is_new_is_told_by_the_companys_path_alone(path: str, value: Any, said: bool | None) -> None:
    whole = order(customer={"id": 9001, path.partition(".")[2]: value})
    its = mapping({Field.NEW_CUSTOMER: path})
    assert data(read("orders/paid", whole, its), RECORDED).get("new_customer") is said


@pytest.mark.parametrize(
    ("paths", "claim"),
    [
        ({}, None),
        ({Field.CODE: "attributes.referral_code"}, {**BEGUN, "referrer_code": "DEXTER"}),
        ({Field.CODE: "landing.ref"}, {**BEGUN, "referrer_code": "DEXTER"}),
        (
            {Field.CODE: "discount_codes[?starts_with(code, 'REF-')].code | [0]"},
            {**BEGUN, "referrer_code": "REF-DEXTER"},
        ),
        ({Field.CODE: "landing.utm_nothing"}, None),
        ({Field.REFERRER: "'dexter'", Field.CODE: "landing.ref"}, {**BEGUN, "referrer": "dexter"}),
        ({Field.REFERRAL: "'r1'", Field.CODE: "landing.ref"}, {"referral": "r1"}),
    ],
)
def test_an_order_that_carries_a_code_claims_the_offer(paths: dict[Field, str], claim: dict[str, str] | None) -> None:
    reading = read("orders/paid", order(), mapping(paths, program="acme-friends"))
    if claim is None:
        assert types(reading) == [RECORDED]
        return
    seen_with = {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0"}
    assert data(reading, CLAIMED) == {**claim, **seen_with, "referee": data(reading, RECORDED)["customer"]}


@pytest.mark.parametrize("site", ["/?ref=brie@example.com", "/?ref=%00", "//[", "/?" + "&".join(["a=1"] * 500), None])
def test_what_anybody_typed_into_an_address_stops_no_order(site: str | None) -> None:
    its = mapping({Field.CODE: "landing.ref"}, program="acme-friends")
    assert types(read("orders/paid", order(landing_site=site), its)) == [RECORDED]


def test_a_code_without_a_program_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="program: is not known; name the program of this source in its settings"):
        read("orders/paid", order(), mapping({Field.CODE: "landing.ref"}))


# Which order it is


def test_an_order_has_shopifys_id_which_no_two_shops_share() -> None:
    reading = read("orders/paid", order())
    assert data(reading, RECORDED)["order"] == str(ORDER)
    assert "store" not in data(reading, RECORDED)
    assert reading.links == {f"shopify-order-{ORDER} paid": OrderName(str(ORDER))}


def test_a_number_of_the_companys_own_is_of_its_shop_and_refunds_are_linked_to_it() -> None:
    its = mapping({Field.ORDER: "name"})
    paid, back = read("orders/paid", order(), its), read("refunds/create", refund(), its)
    assert (data(paid, RECORDED)["order"], data(paid, RECORDED)["store"]) == ("#1001", SHOP)
    assert paid.links == dict.fromkeys((str(back.of), f"{back.of} paid"), OrderName("#1001", SHOP))
    assert "order" not in back.facts[0]["data"]
    within = read("orders/updated", order(refunds=[refund()], updated_at=CHANGED), its)
    assert data(within, REVERSED)["reversal"] == back.facts[0]["data"]["reversal"]
    assert {each["id"] for each in within.facts}.isdisjoint(each["id"] for each in back.facts)


def test_a_store_of_the_settings_stands_in_every_fact() -> None:
    its = mapping(store="eu")
    for topic in ("orders/paid", "orders/cancelled", "refunds/create", "disputes/update"):
        assert {each["data"]["store"] for each in read(topic, SAMPLES[topic], its).facts} == {"eu"}


def test_two_shops_that_number_alike_have_two_orders() -> None:
    its = mapping({Field.ORDER: "name"})
    other = {"id": 6001, "email": "ines@example.com", "phone": None, "billing_address": None, "customer": {"id": 9002}}
    bodies = [(order(), SHOP), (order(**other), "acme-fr.myshopify.com")]
    paid = [told("orders/paid", body, **{"x-shopify-shop-domain": shop}) for body, shop in bodies]
    (found,) = orders_in(stored(Shopify().read(each, its) for each in paid))
    assert {each.stores for each in found.orders} == {frozenset({shop}) for _, shop in bodies}
    assert found.stray == ()


def test_an_order_that_another_system_tells_by_the_same_name_is_one() -> None:
    its = mapping({Field.ORDER: "name"}, store="eu")
    shop = stored([read("orders/paid", order(), its), read("orders/updated", order(updated_at=CHANGED), its)])
    said = {"order": "#1001", "store": "eu", "kind": "purchase", "amount": "80.00", "currency": "USD"}
    billing = fact(RECORDED, "2026-07-10", {**said, "customer": {"email": "brie@example.com"}}, source="acme/billing")
    (found,) = orders_in([*shop, billing])
    (one,) = found.orders
    assert (len(one.records), one.conflicts) == (2, ())
    (conversion,) = conversions([*shop, billing], billing.identity, acme())
    assert (conversion.net_minor, conversion.conflicts) == (8000, ())
