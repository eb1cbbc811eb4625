"""Objects of Shopify's in the form that it documents, with the fields that matter here."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from referral_rewards.vendors.port import Reading, SourceMapping, Told
from referral_rewards.vendors.shopify import Shopify
from tests.vendors.reading import mapping

SHOP = "acme.myshopify.com"
ORDER = 5123
PLACED, CHANGED = "2026-07-10T16:00:00+02:00", "2026-07-12T09:30:00+02:00"


def money(amount: str, currency: str = "USD", shown: str = "9.99") -> dict[str, Any]:
    """An amount in the shop's money and in what the customer was shown."""
    return {
        "shop_money": {"amount": amount, "currency_code": currency},
        "presentment_money": {"amount": shown, "currency_code": "CAD"},
    }


def line(price: str = "80.00", **more: Any) -> dict[str, Any]:
    return {"id": 71, "quantity": 1, "price": price, "price_set": money(price), "gift_card": False,
            "tax_lines": [], "discount_allocations": [], **more}  # fmt: skip


def tax(amount: str) -> list[dict[str, Any]]:
    return [{"title": "VAT", "price": amount, "rate": 0.2, "price_set": money(amount)}]


def order(**more: Any) -> dict[str, Any]:
    """An order of goods for 80.00 USD, with tax and shipping beside."""
    return {
        "id": ORDER,
        "name": "#1001",
        "order_number": 1001,
        "test": False,
        "created_at": PLACED,
        "processed_at": PLACED,
        "updated_at": PLACED,
        "cancelled_at": None,
        "financial_status": "paid",
        "currency": "USD",
        "presentment_currency": "CAD",
        "taxes_included": False,
        "subtotal_price": "80.00",
        "subtotal_price_set": money("80.00"),
        "total_tax": "6.40",
        "total_price": "95.40",
        "source_name": "web",
        "landing_site": "/collections/all?ref=DEXTER&utm_source=mail",
        "note_attributes": [{"name": "referral_code", "value": "DEXTER"}],
        "discount_codes": [{"code": "REF-DEXTER", "amount": "0.00", "type": "percentage"}],
        "browser_ip": "203.0.113.9",
        "client_details": {"browser_ip": "203.0.113.9", "user_agent": "Mozilla/5.0"},
        "email": "brie@example.com",
        "phone": None,
        "customer": {"id": 9001, "email": "brie@example.com", "first_name": "Brie", "last_name": "Cheese"},
        "billing_address": {"name": "Brie Cheese", "phone": "(416) 555-0173", "country_code": "CA"},
        "line_items": [line()],
        "refunds": [],
        **more,
    }


def refund(subtotal: str = "30.00", number: int = 61, **more: Any) -> dict[str, Any]:
    """A refund of goods, paid back."""
    its = {"id": 1, "quantity": 1, "subtotal": float(subtotal), "subtotal_set": money(subtotal), "total_tax": 0.0,
           "total_tax_set": money("0.00"), "line_item": line(subtotal)}  # fmt: skip
    return {
        "id": number,
        "order_id": ORDER,
        "created_at": CHANGED,
        "processed_at": CHANGED,
        "refund_line_items": [its],
        "order_adjustments": [],
        "refund_shipping_lines": [],
        "transactions": [payment(subtotal)],
        **more,
    }


def taxed(subtotal: str, total_tax: str) -> list[dict[str, Any]]:
    """The lines of a refund with tax."""
    return [{"id": 1, "quantity": 1, "subtotal_set": money(subtotal), "total_tax_set": money(total_tax)}]


def payment(amount: str, status: str = "success", **more: Any) -> dict[str, Any]:
    return {"id": 9, "kind": "refund", "status": status, "amount": amount, "currency": "USD", "test": False, **more}


def discrepancy(amount: str) -> list[dict[str, Any]]:
    """The difference between what lines cost and what was given back: negative where more was."""
    return [{"id": 3, "kind": "refund_discrepancy", "reason": "Refund discrepancy", "amount": amount,
             "amount_set": money(amount), "tax_amount": "0.00"}]  # fmt: skip


def shipping(amount: str) -> list[dict[str, Any]]:
    return [{"id": 4, "kind": "shipping_refund", "amount": f"-{amount}", "amount_set": money(f"-{amount}")}]


def dispute(status: str = "needs_response", **more: Any) -> dict[str, Any]:
    over = status not in ("needs_response", "under_review")
    return {
        "id": 411,
        "order_id": ORDER,
        "type": "chargeback",
        "amount": "95.40",
        "currency": "USD",
        "status": status,
        "initiated_at": "2026-07-20T00:00:00-04:00",
        "finalized_on": "2026-08-03" if over else None,
        **more,
    }


def told(topic: str, body: Any, **headers: str) -> Told:
    """A delivery; each body has an event id of its own."""
    written = json.dumps(body).encode()
    known = {"x-shopify-topic": topic, "x-shopify-shop-domain": SHOP, "x-shopify-api-version": "2026-10"}
    event_id = hashlib.sha256(topic.encode() + written).hexdigest()[:12]
    return Told(written, {**known, "x-shopify-event-id": event_id, "x-shopify-webhook-id": f"w-{event_id}", **headers})


def signed(request: Told, secret: str) -> Told:
    signature = base64.b64encode(hmac.digest(secret.encode(), request.body, hashlib.sha256)).decode()
    return request._replace(headers={**request.headers, "x-shopify-hmac-sha256": signature})


def read(topic: str, body: Mapping[str, Any], its: SourceMapping | None = None) -> Reading:
    return Shopify().read(told(topic, body), its or mapping())


#: One of each event that the guide names.
SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "orders/create": order(),
    "orders/paid": order(),
    "orders/partially_paid": order(financial_status="partially_paid"),
    "orders/updated": order(updated_at=CHANGED),
    "orders/pulled": order(updated_at=CHANGED, landing_site=None, refunds=[refund()]),
    "orders/edited": {"order_edit": {"order_id": ORDER, "line_items": {"additions": [{"id": 1, "delta": 1}]}}},
    "orders/cancelled": order(updated_at=CHANGED, cancelled_at=CHANGED, financial_status="refunded"),
    "orders/delete": {"id": ORDER},
    "refunds/create": refund(),
    "disputes/create": dispute(),
    "disputes/update": dispute("lost"),
    "customers/redact": {"customer": {"id": 9001}},
    "customers/data_request": {"customer": {"id": 9001}},
    "shop/redact": {"shop_domain": SHOP},
}
