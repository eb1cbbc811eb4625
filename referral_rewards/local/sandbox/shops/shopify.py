"""A Shopify shop: orders, edits and refunds, told as https://shopify.dev/docs/api/webhooks documents them.

As at Shopify, each change tells the whole order anew by ``orders/updated``, and a refund is told by itself too.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from referral_rewards.local.sandbox.provider import encoded
from referral_rewards.local.sandbox.shops.delivery import SHOPIFY, Delivery
from referral_rewards.local.sandbox.shops.sale import Sale

DOMAIN: Final = "acme.myshopify.com"
_VERSION: Final = "2026-10"


class Shopify:
    """One shop with its orders by their ids."""

    def __init__(self) -> None:
        self._orders: dict[int, dict[str, Any]] = {}

    def sell(self, sale: Sale) -> list[Delivery]:
        """Return what is told of a new order that is paid at once."""
        order = _order(sale)
        self._orders[sale.order] = order
        created = {**order, "financial_status": "pending"}
        return [_told("orders/create", created), _told("orders/paid", order), _told("orders/updated", order)]

    def edit(self, order: int, goods: Decimal, at: datetime) -> list[Delivery]:
        """Return what is told once goods were added, until those of the order cost ``goods``."""
        its = self._orders[order]
        more = goods - Decimal(its["subtotal_price"])
        its["line_items"] = [*its["line_items"], _line(len(its["line_items"]) + 1, more, Decimal(0), its["currency"])]
        its |= {"subtotal_price": str(goods), "subtotal_price_set": _money(goods, its["currency"])}
        its |= {"total_price": str(Decimal(its["total_price"]) + more), "updated_at": at.isoformat()}
        edited = {"order_edit": {"id": order * 10, "order_id": order, "created_at": at.isoformat()}}
        return [_told("orders/edited", edited), _told("orders/updated", its)]

    def give_back(self, order: int, number: int, goods: Decimal, tax: Decimal, at: datetime) -> list[Delivery]:
        """Return what is told of a refund of goods, and of their tax."""
        its = self._orders[order]
        refund = _refund(its, number, goods, tax, at)
        its["refunds"] = [*its["refunds"], refund]
        returned = sum(Decimal(each["transactions"][0]["amount"]) for each in its["refunds"])
        whole = returned >= Decimal(its["total_price"])
        its |= {"financial_status": "refunded" if whole else "partially_refunded", "updated_at": at.isoformat()}
        return [_told("refunds/create", refund), _told("orders/updated", its)]

    def knows(self, order: int) -> bool:
        """Return whether it sold the order."""
        return order in self._orders


def _order(sale: Sale) -> dict[str, Any]:
    came = {name: value for name, value in (("ref", sale.code), ("program", sale.program)) if value}
    first, _, last = sale.name.partition(" ")
    at = sale.at.isoformat()
    return {
        "id": sale.order,
        "name": f"#{sale.order}",
        "order_number": sale.order,
        "test": False,
        "created_at": at,
        "processed_at": at,
        "updated_at": at,
        "cancelled_at": None,
        "financial_status": "paid",
        "currency": sale.currency,
        "presentment_currency": sale.currency,
        "taxes_included": False,
        "subtotal_price": str(sale.goods),
        "subtotal_price_set": _money(sale.goods, sale.currency),
        "total_tax": str(sale.tax),
        "total_price": str(sale.total),
        "source_name": "web",
        "landing_site": f"/?{urlencode(came)}" if came else "/",
        "note_attributes": [],
        "discount_codes": [],
        "email": sale.email,
        "phone": None,
        "customer": {"id": sale.customer or sale.order, "email": sale.email, "first_name": first, "last_name": last},
        "billing_address": {"name": sale.name, "phone": None, "country_code": "CA"},
        "line_items": [_line(1, sale.goods, sale.tax, sale.currency)],
        "refunds": [],
    }


def _line(number: int, price: Decimal, tax: Decimal, currency: str) -> dict[str, Any]:
    taxes = [{"title": "HST", "price": str(tax), "rate": 0.08, "price_set": _money(tax, currency)}] if tax else []
    return {
        "id": number,
        "title": "Tea",
        "quantity": 1,
        "price": str(price),
        "price_set": _money(price, currency),
        "gift_card": False,
        "tax_lines": taxes,
        "discount_allocations": [],
    }


def _refund(order: Mapping[str, Any], number: int, goods: Decimal, tax: Decimal, at: datetime) -> dict[str, Any]:
    currency = order["currency"]
    line = {
        "id": number * 10,
        "quantity": 1,
        "subtotal": goods,
        "subtotal_set": _money(goods, currency),
        "total_tax": tax,
        "total_tax_set": _money(tax, currency),
        "line_item": order["line_items"][0],
    }
    paid = {"id": number * 10 + 1, "kind": "refund", "status": "success", "amount": str(goods + tax), "test": False}
    return {
        "id": number,
        "order_id": order["id"],
        "created_at": at.isoformat(),
        "processed_at": at.isoformat(),
        "refund_line_items": [line],
        "order_adjustments": [],
        "refund_shipping_lines": [],
        "transactions": [{**paid, "currency": currency}],
    }


def _money(amount: Decimal, currency: str) -> dict[str, Any]:
    same = {"amount": str(amount), "currency_code": currency}
    return {"shop_money": same, "presentment_money": same}


def _told(topic: str, document: Mapping[str, Any]) -> Delivery:
    # The same change has the same id however often it is delivered.
    change = hashlib.sha256(topic.encode() + encoded(document)).hexdigest()[:16]
    headers = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-API-Version": _VERSION,
        "X-Shopify-Event-Id": change,
        "X-Shopify-Webhook-Id": f"delivery-{change}",
    }
    return Delivery.of(SHOPIFY, document, headers)
