"""What PartnerStack's events say: one row for each, and for each way in which an object differs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import permutations
from typing import Any, Final

import pytest

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.vendors import partnerstack
from referral_rewards.vendors.partnerstack import PartnerStack
from referral_rewards.vendors.port import Field, Mode, Unreadable, Vendor
from tests.domain.build import acme
from tests.vendors.partnerstack_samples import (
    CREATED,
    SAMPLES,
    UPDATED,
    URL,
    customer,
    deal,
    event,
    lead,
    partnership,
    read,
    signed,
    told,
    transaction,
)
from tests.vendors.reading import data, mapping, rows, stored, types

NOW: Final = datetime(2026, 7, 12, 9, 30, tzinfo=UTC)
RECORDED, AMENDED = "conversion.recorded", "conversion.amended"
ENROLLED, CLAIMED, SENT = "referrer.enrolled", "referral.claimed", "referral.sent"


def test_it_is_a_vendor() -> None:
    vendor: Vendor = PartnerStack()
    assert vendor.name == "partnerstack"
    request = told(event("customer.created", customer()))
    assert vendor.events(request) == (request,)


# The guide


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_guide_says_what_becomes_of_each_event(name: str) -> None:
    reading = read(*SAMPLES[name])
    assert set(types(reading)) == rows("partnerstack.md")[name]
    assert (reading.ignored is None) == bool(reading.facts)


def test_the_guide_names_no_event_that_is_not_tried_here() -> None:
    assert rows("partnerstack.md").keys() == SAMPLES.keys()
    assert partnerstack.IGNORED.keys() <= SAMPLES.keys()


def test_an_unknown_event_is_ignored_and_says_so() -> None:
    assert read("agreement.accepted", {"approved": True}).ignored == partnerstack.OTHER_EVENT


@pytest.mark.parametrize(
    "body",
    [
        {"event": "customer_created", **customer()},
        {"type": "customer.created", **customer()},
        {"event": "customer.created", "data": customer()},
    ],
)
def test_an_event_is_read_in_each_form_in_which_it_is_written(body: dict[str, Any]) -> None:
    reading = PartnerStack().read(told(body), mapping(program="acme-friends"))
    assert (reading.event_type, types(reading)) == ("customer.created", [CLAIMED])
    assert reading.event_id == f"customer.created/cus_1/{UPDATED}"


@pytest.mark.parametrize("body", [{}, {"data": customer()}])
def test_an_event_without_a_type_is_unreadable(body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="type: is missing"):
        PartnerStack().read(told(body), mapping())


# Whether it is genuine


@pytest.mark.parametrize(
    ("url", "headers", "header", "secrets", "is_genuine"),
    [
        (f"{URL}?token=new", {}, None, ["new", "old"], True),
        (f"{URL}?a=1&token=old", {}, None, ["new", "old"], True),
        (URL, {}, None, ["new"], False),
        (f"{URL}?token=", {}, None, ["new"], False),
        (f"{URL}?token=other", {}, None, ["new"], False),
        (f"{URL}?token=other&token=new", {}, None, ["new"], False),
        (f"{URL}?token=", {}, None, [""], False),
        (f"{URL}?token=new", {}, None, [], False),
        (URL, {"x-signature": "signed"}, "X-Signature", ["new", "old"], True),
        (URL, {"x-signature": "sha256=SIGNED"}, "X-Signature", ["new", "old"], True),
        (URL, {"x-signature": "signed"}, "X-Signature", ["new"], False),
        (f"{URL}?token=old", {}, "X-Signature", ["old"], False),
        (URL, {"x-signature": ""}, "X-Signature", ["old"], False),
    ],
)
def test_a_request_bears_a_secret_in_its_address_or_signs_its_body(
    url: str, headers: dict[str, str], header: str | None, secrets: list[str], is_genuine: bool
) -> None:
    request = told(event("customer.created", customer()), url)
    signature = signed(request, "old")
    made = {k: v.replace("signed", signature).replace("SIGNED", signature.upper()) for k, v in headers.items()}
    its = mapping(header=header)
    if is_genuine:
        PartnerStack().verify(secrets, request._replace(headers=made), its, NOW)
        return
    with pytest.raises(NotGenuine) as refusal:
        PartnerStack().verify(secrets, request._replace(headers=made), its, NOW)
    assert not any(secret and secret in str(refusal.value) for secret in secrets)


# Who refers, and who was referred


def test_a_partner_is_enrolled() -> None:
    its = mapping({Field.CODE: "partner_key"}, program="acme-friends")
    assert data(read("partnership.created", partnership(), its), ENROLLED) == {
        "referrer": "dexter",
        "program": "acme-friends",
        "code": "dexter",
        "partner": "dexter",
        "email": "dex@example.com",
        "name": "Dexter Lab",
    }


def test_a_customer_whom_a_partner_brought_claims_the_offer_with_the_key_that_transactions_name() -> None:
    claim = data(read("customer.created", customer()), CLAIMED)
    assert claim == {
        "program": "acme-friends",
        "referrer": "dexter",
        "channel": "link",
        "referee": {"customer": "c-brie", "email": "brie@example.com", "name": "Brie Cheese"},
    }
    bought = data(read("transaction.created", transaction()), RECORDED)
    assert bought["customer"] == {"customer": "c-brie", "email": "brie@example.com"}


def test_another_partner_of_a_customer_is_another_claim_and_the_same_one_is_not() -> None:
    first, again = read("customer.created", customer()), read("customer.updated", customer(name="Brie C.", key="cus_1"))
    other = read("customer.updated", customer(partner_key="mandy"))
    assert first.facts[0]["id"] == again.facts[0]["id"]
    assert other.facts[0]["id"] != first.facts[0]["id"]


@pytest.mark.parametrize(
    ("type_", "of"),
    [("customer.created", customer(partner_key=None)), ("lead.created", lead(partner_key=None)),
     ("deal.created", deal(partner_key=None, stage="open"))],
)  # fmt: skip
def test_whom_no_partner_brought_is_ignored(type_: str, of: dict[str, Any]) -> None:
    assert read(type_, of).ignored == partnerstack.NO_PARTNER


@pytest.mark.parametrize(("type_", "of"), [("lead.created", lead()), ("deal.created", deal(stage="open"))])
def test_a_lead_is_an_invitation_under_its_own_key(type_: str, of: dict[str, Any]) -> None:
    said = data(read(type_, of), SENT)
    assert (said["referral"], said["channel"], said["referrer"]) == (of["key"], "lead", "dexter")
    assert said["referee"]["email"] == "brie@example.com"


@pytest.mark.parametrize("type_", ["partnership.created", "customer.created", "lead.created", "deal.created"])
def test_without_a_program_it_is_unreadable(type_: str) -> None:
    of = {"partnership": partnership, "customer": customer, "lead": lead, "deal": deal}[type_.partition(".")[0]]()
    with pytest.raises(Unreadable, match="program: is not known"):
        read(type_, of, mapping())


@pytest.mark.parametrize(
    ("test", "mode", "why"),
    [
        (True, Mode.LIVE, partnerstack.IS_TEST),
        (False, Mode.TEST, partnerstack.IS_NO_TEST),
        (True, Mode.TEST, None),
    ],
)
def test_tests_are_taken_by_a_source_of_tests_alone(test: bool, mode: Mode, why: str | None) -> None:
    its = mapping(program="acme-friends", mode=mode)
    assert read("customer.created", customer(test=test), its).ignored == why


# What it is worth


@pytest.mark.parametrize(
    ("changes", "amount", "currency"),
    [
        ({}, "80.00", "USD"),
        ({"amount": 8001, "currency": "eur"}, "80.01", "EUR"),
        ({"amount": 8000, "currency": "JPY"}, "8000.00", "JPY"),
        ({"amount": 8000, "currency": "KWD"}, "8.00", "KWD"),
        ({"amount": 0}, "0.00", "USD"),
    ],
)
def test_amounts_are_in_the_smallest_unit(changes: dict[str, Any], amount: str, currency: str) -> None:
    said = data(read("transaction.created", transaction(**changes)), RECORDED)
    assert (said["order"], said["amount"], said["currency"]) == ("trans_1", amount, currency)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"amount": -8000}, "amount: takes money back and names no order; tell refunds from the billing system"),
        ({"amount": 80.5}, "amount: is no whole number"),
        ({"amount": None}, "amount: is no whole number"),
        ({"currency": None}, "currency: is missing"),
        ({"currency": "XXY"}, "currency: is none of ISO 4217"),
        ({"key": None}, "key: is missing"),
        ({"created_at": None, "updated_at": None}, "created_at: is missing"),
        ({"created_at": "yesterday"}, "created_at: is no moment"),
    ],
)
def test_a_transaction_that_lacks_something_is_unreadable(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(Unreadable, match=what):
        read("transaction.created", transaction(**changes))


@pytest.mark.parametrize(
    ("kinds", "kind"), [({}, "purchase"), ({"pro": "subscription"}, "subscription"), ({"basic": "trial"}, "purchase")]
)
def test_the_kind_of_a_transaction_is_by_its_category(kinds: dict[str, str], kind: str) -> None:
    its = mapping(source="partners", kinds=kinds)
    assert data(read("transaction.created", transaction(), its), RECORDED)["kind"] == kind


@pytest.mark.parametrize(
    ("type_", "stage", "kinds", "told_of_it"),
    [
        ("deal.created", "open", {}, [SENT]),
        ("deal.created", "won", {}, [SENT, RECORDED, AMENDED]),
        ("deal.updated", "won", {}, [SENT, RECORDED, AMENDED]),
        ("deal.updated", "signed", {}, [SENT, AMENDED]),
        ("deal.updated", "signed", {"signed": "subscription"}, [SENT, RECORDED, AMENDED]),
        ("deal.updated", None, {}, [SENT, AMENDED]),
        ("deal.archived", "won", {}, [SENT, AMENDED]),
    ],
)
def test_a_deal_counts_while_it_is_won(
    type_: str, stage: str | None, kinds: dict[str, str], told_of_it: list[str]
) -> None:
    its = mapping(source="partners", program="acme-friends", kinds=kinds)
    reading = read(type_, deal(stage=stage), its)
    assert types(reading) == told_of_it
    if told_of_it[-1] == AMENDED:
        assert data(reading, AMENDED)["amount"] == ("1200.00" if RECORDED in told_of_it else "0.00")


@pytest.mark.parametrize(
    ("events", "net_minor"),
    [
        ([("transaction.created", transaction())], 8000),
        ([("transaction.created", transaction()), ("transaction.updated", transaction(amount=5000))], 5000),
        ([("transaction.created", transaction()), ("transaction.archived", transaction())], 0),
        ([("deal.created", deal(stage="open")), ("deal.updated", deal())], 120000),
        ([("deal.updated", deal()), ("deal.updated", deal(stage="lost", updated_at=UPDATED + 1000))], 0),
        ([("deal.updated", deal(stage="lost", updated_at=CREATED)), ("deal.updated", deal())], 120000),
    ],
)
def test_an_order_ends_in_one_state_in_whatever_order_its_events_come(
    events: Sequence[tuple[str, dict[str, Any]]], net_minor: int
) -> None:
    found = []
    for each in permutations([*events, events[0]]):
        facts = stored(read(*one) for one in each)
        found += conversions(facts, {mark for fact in facts for mark in fact.identity}, acme())
    assert {each.net_minor for each in found} == {net_minor}
    assert {each.conflicts for each in found} == {()}
