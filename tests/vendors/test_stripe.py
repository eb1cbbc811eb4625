"""What each event of Stripe becomes, by the table of the guide."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.vendors.paths import Path
from referral_rewards.vendors.port import Field, Mode, Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.stripe import Stripe
from tests.vendors.stripe_life import (
    BEGIN,
    LIFE,
    MAPPING,
    SECRET,
    at,
    credit_note,
    dispute,
    event,
    invoice,
    invoice_payment,
    refund,
    session,
    told,
)

NOW = datetime.fromtimestamp(BEGIN, UTC)
BY_METADATA = replace(MAPPING, paths={Field.ORDER: Path("metadata.order_id")})


def _read(kind: str, thing: dict[str, Any], mapping: SourceMapping = MAPPING, **envelope: Any) -> Reading:
    return Stripe().read(told(event("evt_1", kind, thing, BEGIN + 7, **envelope)), mapping)


def _facts(reading: Reading) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The facts by id, type and data. All that name an order are taken by intake."""
    for fact in reading.facts:
        data = {**fact["data"], "order": fact["data"].get("order", "o-1")}
        parse_event({**fact, "data": data})
    return [(fact["id"], fact["type"], fact["data"]) for fact in reading.facts]


def test_a_paid_checkout_is_a_claim_by_its_code_and_a_purchase_without_tax_and_shipping() -> None:
    reading = _read("checkout.session.completed", session())
    who = {"customer": "cus_Brie", "email": "brie@example.com", "phone": "+4791234567", "name": "Brie Larsen"}
    assert _facts(reading) == [
        (
            "cs_live_a1.claimed",
            "referral.claimed",
            {"program": "acme-friends", "referrer_code": "DEX-7", "channel": "link", "referee": who},
        ),
        (
            "cs_live_a1.paid",
            "conversion.recorded",
            {
                "order": "pi_1",
                "kind": "purchase",
                "customer": who,
                "amount": "80.00",
                "currency": "USD",
                "new_customer": True,
                "country": "NO",
            },
        ),
    ]
    assert reading.links == {"cs_live_a1": OrderName("pi_1"), "pi_1": OrderName("pi_1")}
    assert {fact["time"] for fact in reading.facts} == {at(BEGIN)}


@pytest.mark.parametrize(
    ("other", "told_of", "ignored"),
    [
        ({"payment_status": "unpaid"}, ["referral.claimed"], None),
        ({"payment_status": "unpaid", "metadata": {}}, [], "it is not paid yet"),
        ({"mode": "subscription"}, ["referral.claimed"], None),
        ({"mode": "subscription", "metadata": {}}, [], "its invoice tells of the purchase"),
        ({"invoice_creation": {"enabled": True}, "metadata": {}}, [], "its invoice tells of the purchase"),
        ({"mode": "setup", "metadata": {}}, [], "its invoice tells of the purchase"),
        ({"metadata": {}}, ["conversion.recorded"], None),
        ({"payment_status": "no_payment_required", "amount_total": 0, "total_details": None, "payment_intent": None,
          "metadata": None}, ["conversion.recorded"], None),
    ],
)  # fmt: skip
def test_one_purchase_is_told_once(other: dict[str, Any], told_of: list[str], ignored: str | None) -> None:
    reading = _read("checkout.session.completed", session(**other))
    assert ([kind for _, kind, _ in _facts(reading)], reading.ignored) == (told_of, ignored)


@pytest.mark.parametrize(
    ("currency", "units", "amount"),
    [
        ("usd", 1999, "19.99"),
        ("jpy", 500, "500"),
        ("krw", 12000, "12000"),
        ("kwd", 5120, "5.120"),
        ("bhd", 1000, "1.000"),
        ("mga", 300, "300.00"),
        ("isk", 50000, "500"),
        ("ugx", 100000, "1000"),
        ("huf", 100050, "1000.50"),
        ("usd", 0, "0.00"),
    ],
)
def test_amounts_are_in_the_smallest_units_of_stripe(currency: str, units: int, amount: str) -> None:
    reading = _read("checkout.session.completed", session(amount_total=units, total_details=None, currency=currency))
    _, _, data = _facts(reading)[-1]
    assert (data["amount"], data["currency"]) == (amount, currency.upper())


@pytest.mark.parametrize(
    ("other", "kind", "amount"),
    [
        ({}, "subscription", "29.00"),
        ({"billing_reason": "subscription_cycle"}, "renewal", "29.00"),
        ({"billing_reason": "subscription_update"}, "subscription_change", "29.00"),
        ({"billing_reason": "manual"}, "purchase", "29.00"),
        ({"shipping_cost": {"amount_subtotal": 400, "amount_total": 440}}, "subscription", "25.00"),
        ({"pre_payment_credit_notes_amount": 900}, "subscription", "20.00"),
        ({"total_excluding_tax": None, "tax": 290}, "subscription", "29.00"),
        ({"total": 0, "total_excluding_tax": 0, "amount_paid": 0}, "subscription", "0.00"),
    ],
)
def test_an_invoice_is_a_subscription_first_and_then_a_renewal(other: dict[str, Any], kind: str, amount: str) -> None:
    for of_paid in ("invoice.paid", "invoice.payment_succeeded"):
        ((name, _, data),) = _facts(_read(of_paid, invoice(**other)))
        assert (name, data["order"], data["kind"], data["amount"]) == ("in_1.paid", "in_1", kind, amount)
        assert data["subscription"] == "sub_1"


@pytest.mark.parametrize(
    ("other", "of", "names"),
    [
        ({}, "payment of in_1", {"in_1"}),
        ({"payments": {"data": [{"payment": {"payment_intent": "pi_in"}}]}}, None, {"in_1", "pi_in"}),
        ({"payment_intent": "pi_in", "charge": "ch_in"}, None, {"in_1", "pi_in", "ch_in"}),
        ({"payment_intent": {"id": "pi_in"}}, None, {"in_1", "pi_in"}),
        ({"amount_paid": 0}, None, {"in_1"}),
        ({"paid_out_of_band": True}, None, {"in_1"}),
    ],
)
def test_an_invoice_is_held_until_its_payment_is_known(other: dict[str, Any], of: str | None, names: set[str]) -> None:
    reading = _read("invoice.paid", invoice(**other))
    assert (reading.of, dict(reading.links)) == (of, dict.fromkeys(sorted(names), OrderName("in_1")))
    links = _read("invoice_payment.paid", invoice_payment())
    assert (links.of, links.links) == ("in_1", {"payment of in_1": None, "pi_in": None})


@pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"])
@pytest.mark.parametrize(
    ("status", "types"),
    [
        ("pending", ["conversion.reversed"]),
        ("requires_action", ["conversion.reversed"]),
        ("succeeded", ["conversion.reversed"]),
        (None, ["conversion.reversed"]),
        ("failed", ["conversion.reversed", "conversion.reversal_failed"]),
        ("canceled", ["conversion.reversed", "conversion.reversal_failed"]),
    ],
)
def test_a_refund_takes_from_its_first_moment_until_it_fails(kind: str, status: str | None, types: list[str]) -> None:
    reading = _read(kind, refund(status=status))
    facts = _facts(reading)
    assert ([each for _, each, _ in facts], reading.of) == (types, "pi_1")
    assert facts[0][::2] == ("re_1", {"reversal": "re_1", "kind": "refund", "amount": "20.00", "currency": "USD"})
    assert all(data["reversal"] == "re_1" for _, _, data in facts)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("won", "won"),
        ("lost", "lost"),
        ("warning_closed", "inquiry_closed"),
        ("prevented", "prevented"),
        ("charge_refunded", "refunded"),
        ("warning_needs_response", None),
        ("warning_under_review", None),
        ("needs_response", None),
        ("under_review", None),
        ("appeal_under_review", None),
    ],
)
def test_a_dispute_is_open_until_a_status_ends_it(status: str, outcome: str | None) -> None:
    facts = _facts(_read("charge.dispute.updated", dispute(status=status)))
    assert [kind for _, kind, _ in facts] == ["conversion.dispute_opened", "conversion.dispute_closed"][: len(facts)]
    assert [data.get("outcome") for _, _, data in facts] == ([None] if outcome is None else [None, outcome])
    assert {(data["dispute"], data["amount"]) for _, _, data in facts} == {("du_1", "91.40")}


@pytest.mark.parametrize(
    ("other", "amount"),
    [
        ({}, "10.00"),
        ({"refunds": [{"amount_refunded": 400, "refund": "re_9"}]}, "6.00"),
        ({"refunds": [{"amount_refunded": 1000, "refund": "re_9"}]}, None),
        ({"post_payment_amount": 0, "pre_payment_amount": 1000, "type": "pre_payment"}, None),
        ({"post_payment_amount": None, "type": "post_payment"}, "10.00"),
        ({"post_payment_amount": None, "type": "post_payment", "refund": "re_9", "refunds": None}, None),
        ({"post_payment_amount": None, "type": "pre_payment"}, None),
    ],
)
def test_a_credit_note_takes_what_no_refund_tells_of(other: dict[str, Any], amount: str | None) -> None:
    reading = _read("credit_note.created", credit_note(**other))
    assert [data["amount"] for _, _, data in _facts(reading)] == ([] if amount is None else [amount])
    assert (reading.of, reading.ignored is None) == (None if amount is None else "in_1", amount is not None)


def test_a_voided_credit_note_gives_back_what_it_took() -> None:
    reading = _read("credit_note.voided", credit_note(status="void", voided_at=BEGIN + 99))
    assert [(name, kind) for name, kind, _ in _facts(reading)] == [
        ("cn_1", "conversion.reversed"),
        ("cn_1.voided", "conversion.reversal_failed"),
    ]


def test_the_end_of_a_subscription_reverses_nothing_but_a_conversion_without_an_amount() -> None:
    thing = {"id": "sub_1", "object": "subscription", "created": BEGIN, "ended_at": BEGIN + 9, "customer": "cus_Brie"}
    assert _read("customer.subscription.created", thing).ignored == "its first invoice tells of the purchase"
    assert "takes nothing back" in (_read("customer.subscription.deleted", thing).ignored or "")
    trial = replace(MAPPING, kinds={"customer.subscription.created": "trial"})
    ((_, _, began),) = _facts(_read("customer.subscription.created", thing, trial))
    ((_, _, ended),) = _facts(_read("customer.subscription.deleted", thing, trial))
    assert (began["order"], began["kind"], "amount" in began) == ("sub_1", "trial", False)
    assert ended == {"order": "sub_1", "kind": "cancellation"}


def test_an_order_of_the_companys_own_stands_wherever_its_metadata_names_it() -> None:
    named = {"metadata": {"order_id": "A-17"}}
    bought = _read("checkout.session.completed", session(**named), BY_METADATA)
    assert bought.links == {"cs_live_a1": OrderName("A-17"), "pi_1": OrderName("A-17")}
    assert _read("refund.created", refund(), BY_METADATA).of == "pi_1"
    direct = _read("refund.created", refund(**named), BY_METADATA)
    assert (direct.of, _facts(direct)[0][2]["order"]) == (None, "A-17")


@pytest.mark.parametrize(
    ("mode", "accounts", "envelope", "why"),
    [
        (Mode.LIVE, (), {"livemode": False}, "it is no event of live mode, which this source takes"),
        (Mode.LIVE, (), {"livemode": None}, "it is no event of live mode, which this source takes"),
        (Mode.TEST, (), {}, "it is no event of test mode, which this source takes"),
        (Mode.LIVE, (), {"account": "acct_2"}, "it is of acct_2, which this source does not name"),
        (Mode.LIVE, ("acct_1",), {"account": "acct_2"}, "it is of acct_2, which this source does not name"),
        (Mode.LIVE, ("acct_1",), {}, "it is of the platform's own account, and this source names connected accounts"),
        (Mode.LIVE, ("acct_1",), {"account": "acct_1"}, None),
        (Mode.TEST, (), {"livemode": False}, None),
    ],
)
def test_events_of_another_world_or_account_are_ignored(
    mode: Mode, accounts: tuple[str, ...], envelope: dict[str, Any], why: str | None
) -> None:
    mapping = replace(MAPPING, mode=mode, accounts=frozenset(accounts))
    reading = _read("checkout.session.completed", session(), mapping, **envelope)
    assert (reading.ignored, bool(reading.facts)) == (why, why is None)


def test_a_type_that_says_nothing_of_orders_is_ignored() -> None:
    assert _read("customer.updated", {"id": "cus_1"}).ignored == (
        "events of this type say nothing that a reward depends on"
    )


@pytest.mark.parametrize(
    ("kind", "thing", "where"),
    [
        ("checkout.session.completed", session(amount_total=None), "amount_total"),
        ("checkout.session.completed", session(currency="zzz"), "currency"),
        ("checkout.session.completed", session(created="now"), "created"),
        ("checkout.session.completed", session(created=10**15), "created"),
        ("invoice.paid", invoice(status_transitions=None), "status_transitions.paid_at"),
        ("refund.created", refund(amount="20.00"), "amount"),
        ("refund.created", refund(amount=-1), "amount"),
        ("refund.created", refund(status="vanished"), "status"),
        ("refund.created", refund(payment_intent=None, charge=None), "payment_intent"),
        ("charge.dispute.closed", dispute(status="needs_response"), "status"),
        ("charge.dispute.closed", {}, "id"),
    ],
)
def test_what_lacks_its_documented_form_is_unreadable_and_says_where(
    kind: str, thing: dict[str, Any], where: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        _read(kind, thing)
    assert refused.value.where == where


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"type": 1}', b'{"id":"e","type":"x","created":"y"}'])
def test_a_body_that_is_no_event_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        Stripe().read(Told(body), MAPPING)


@pytest.mark.parametrize(
    ("seconds", "secrets", "genuine"),
    [
        (0, (SECRET,), True),
        (300, (SECRET,), True),
        (301, (SECRET,), False),
        (-300, (SECRET,), True),
        (-301, (SECRET,), False),
        (0, ("whsec_new", SECRET), True),
        (0, ("whsec_new",), False),
        (0, (), False),
        (0, ("",), False),
    ],
)
def test_a_signature_of_stripes_own_library_counts_for_five_minutes(
    seconds: int, secrets: tuple[str, ...], genuine: bool
) -> None:
    request = signed(LIFE[0])
    now = NOW + timedelta(seconds=seconds)
    if genuine:
        Stripe().verify(secrets, request, MAPPING, now)
        return
    with pytest.raises(NotGenuine) as refused:
        Stripe().verify(secrets, request, MAPPING, now)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=ab", "t=1,t=2,v1=ab", "t=x,v1=ab", "t=1,v0=ab", "t=1,v1=é", "t=99999999999999,v1=ab"]
)
def test_no_other_header_counts(header: str) -> None:
    with pytest.raises(NotGenuine):
        Stripe().verify((SECRET,), signed(LIFE[0])._replace(headers={"stripe-signature": header}), MAPPING, NOW)


def test_stripes_own_library_takes_what_we_take_and_refuses_another_body() -> None:
    request = signed(LIFE[0])
    header = request.headers["stripe-signature"]
    stripe.WebhookSignature.verify_header(request.body.decode(), header, SECRET)
    for body in (request.body + b" ", b"{}"):
        with pytest.raises(NotGenuine):
            Stripe().verify((SECRET,), request._replace(body=body), MAPPING, NOW)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body.decode(), header, SECRET)


def signed(document: dict[str, Any], stamp: int = BEGIN) -> Told:
    """An event as Stripe delivers it, signed by its own library."""
    body = told(document).body
    signature = stripe.WebhookSignature._compute_signature(f"{stamp}.{body.decode()}", SECRET)
    return Told(body, {"stripe-signature": f"t={stamp},v1={signature}"})
