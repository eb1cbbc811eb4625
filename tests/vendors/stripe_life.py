"""Events of Stripe as its API reference shows them, and the life of a purchase told by them.

The shapes are those of API version 2026-10-28, cut to what could matter and to what stands beside it. Where an older
version has another one, it is made by a function of its own.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

from referral_rewards.domain.facts.rights import rights
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.paths import Path
from referral_rewards.vendors.port import Field, SourceMapping, Told
from referral_rewards.vendors.stripe import Stripe

#: 1 June 2026, 14:00 UTC.
BEGIN: Final = 1_780_322_400
HOUR: Final = 3600
SECRET: Final = "whsec_of_a_test"
MAPPING: Final = SourceMapping(
    source="acme/stripe",
    program="acme-friends",
    paths={
        Field.CODE: Path("metadata.referral_code"),
        Field.NEW_CUSTOMER: Path("metadata.first_order == 'yes' || null"),
    },
)


def connected(name: str = "stripe-orders", mapping: SourceMapping = MAPPING) -> ConnectedSource:
    """A source of Stripe that may tell of conversions and claims."""
    may = rights((mapping.source,), ("conversion.*", "referral.claimed"))
    return ConnectedSource(name, Stripe(), mapping, may, (SECRET, "whsec_of_yesterday"))


def event(name: str, kind: str, thing: dict[str, Any], at: int = BEGIN, **envelope: Any) -> dict[str, Any]:
    """An event about an object, as it was then."""
    return {
        "id": name,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": at,
        "livemode": True,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": thing},
        **envelope,
    }


def told(document: dict[str, Any]) -> Told:
    """An event as it is delivered."""
    return Told(json.dumps(document).encode())


def session(**other: Any) -> dict[str, Any]:
    """A paid checkout of goods for 80.00 with 6.40 tax and 5.00 shipping."""
    return {
        "id": "cs_live_a1",
        "object": "checkout.session",
        "amount_subtotal": 8000,
        "amount_total": 9140,
        "client_reference_id": None,
        "created": BEGIN,
        "currency": "usd",
        "customer": "cus_Brie",
        "customer_details": {
            "address": {"city": "Oslo", "country": "NO", "line1": None, "postal_code": "0150", "state": None},
            "email": "brie@example.com",
            "name": "Brie Larsen",
            "phone": "+4791234567",
            "tax_exempt": "none",
        },
        "invoice": None,
        "invoice_creation": {"enabled": False},
        "livemode": True,
        "metadata": {"referral_code": "DEX-7", "first_order": "yes"},
        "mode": "payment",
        "payment_intent": "pi_1",
        "payment_status": "paid",
        "status": "complete",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 500, "amount_tax": 640},
        **other,
    }


def invoice(**other: Any) -> dict[str, Any]:
    """The first invoice of a subscription for 29.00, of 31.90 with tax. It names no payment since 2025-03-31."""
    return {
        "id": "in_1",
        "object": "invoice",
        "amount_due": 3190,
        "amount_paid": 3190,
        "amount_shipping": 0,
        "billing_reason": "subscription_create",
        "created": BEGIN,
        "currency": "usd",
        "customer": "cus_Brie",
        "customer_address": {"country": "NO"},
        "customer_email": "brie@example.com",
        "customer_name": "Brie Larsen",
        "customer_phone": None,
        "livemode": True,
        "metadata": {},
        "parent": {
            "type": "subscription_details",
            "quote_details": None,
            "subscription_details": {"metadata": {}, "subscription": "sub_1"},
        },
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "shipping_cost": None,
        "status": "paid",
        "status_transitions": {"finalized_at": BEGIN, "paid_at": BEGIN + 60},
        "subtotal": 2900,
        "subtotal_excluding_tax": 2900,
        "total": 3190,
        "total_excluding_tax": 2900,
        "total_taxes": [{"amount": 290, "tax_behavior": "exclusive"}],
        **other,
    }


def invoice_payment(**other: Any) -> dict[str, Any]:
    """Which payment the invoice was paid by."""
    return {
        "id": "inpay_1",
        "object": "invoice_payment",
        "amount_paid": 3190,
        "amount_requested": 3190,
        "created": BEGIN,
        "currency": "usd",
        "invoice": "in_1",
        "is_default": True,
        "livemode": True,
        "payment": {"type": "payment_intent", "payment_intent": "pi_in"},
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": BEGIN + 60},
        **other,
    }


def refund(**other: Any) -> dict[str, Any]:
    """A refund of 20.00 on the checkout's payment."""
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 2000,
        "charge": "ch_1",
        "created": BEGIN + 24 * HOUR,
        "currency": "usd",
        "metadata": {},
        "payment_intent": "pi_1",
        "reason": "requested_by_customer",
        "status": "succeeded",
        **other,
    }


def dispute(**other: Any) -> dict[str, Any]:
    """A dispute of the checkout's whole payment."""
    return {
        "id": "du_1",
        "object": "dispute",
        "amount": 9140,
        "charge": "ch_1",
        "created": BEGIN + 48 * HOUR,
        "currency": "usd",
        "is_charge_refundable": False,
        "livemode": True,
        "metadata": {},
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
        **other,
    }


def credit_note(**other: Any) -> dict[str, Any]:
    """A credit note of 10.00 for the invoice, credited to the customer's balance."""
    return {
        "id": "cn_1",
        "object": "credit_note",
        "amount": 1000,
        "created": BEGIN + 30 * HOUR,
        "currency": "usd",
        "customer": "cus_Brie",
        "invoice": "in_1",
        "livemode": True,
        "metadata": {},
        "out_of_band_amount": None,
        "post_payment_amount": 1000,
        "pre_payment_amount": 0,
        "refunds": [],
        "status": "issued",
        "total": 1000,
        "total_excluding_tax": 909,
        "type": "post_payment",
        "voided_at": None,
        **other,
    }


def at(seconds: int) -> str:
    """A moment as a fact has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


#: A purchase that is refunded in part, disputed, and won; a subscription with a credit note and a failed refund.
LIFE: Final = (
    event("evt_1", "checkout.session.completed", session()),
    event("evt_2", "refund.created", refund(status="pending"), BEGIN + 24 * HOUR),
    event("evt_3", "refund.updated", refund(), BEGIN + 25 * HOUR),
    event("evt_4", "charge.refunded", {"id": "ch_1", "object": "charge", "amount_refunded": 2000}, BEGIN + 25 * HOUR),
    event("evt_5", "charge.dispute.created", dispute(), BEGIN + 48 * HOUR),
    event("evt_6", "charge.dispute.closed", dispute(status="won"), BEGIN + 90 * HOUR),
    event("evt_7", "invoice.paid", invoice()),
    event("evt_8", "invoice_payment.paid", invoice_payment()),
    event("evt_9", "credit_note.created", credit_note(), BEGIN + 30 * HOUR),
    event(
        "evt_10",
        "refund.failed",
        refund(id="re_2", payment_intent="pi_in", charge="ch_in", amount=500, status="failed"),
        BEGIN + 60 * HOUR,
    ),
)
