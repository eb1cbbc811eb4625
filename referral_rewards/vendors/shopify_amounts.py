"""What an order at Shopify is worth: its goods after discounts, without tax, shipping, tips and gift cards.

Everything is in the shop's money. What the customer was shown (presentment money) is converted at the rate of the day,
and refunds and edits of later days at theirs: only in the shop's own money do they add up.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from referral_rewards.domain import money
from referral_rewards.vendors.reading import part
from referral_rewards.vendors.values import decimal, name, needed_name, objects

#: Transactions with these give no money back.
_FAILED: Final = frozenset({"failure", "error"})


def goods(order: Mapping[str, Any]) -> Decimal:
    """Return what the goods of an order cost before anything was taken back, in the shop's money; 0 once it is
    cancelled.

    Raises:
        Unreadable: if the order has no subtotal, or an amount in it is none.
    """
    if name(order, "cancelled_at") is not None:
        return Decimal(0)
    needed_name(order, "subtotal_price")
    lines = objects(order, "line_items")
    total = _shop_money(order, "subtotal_price") - sum(map(_price, filter(_is_gift_card, lines)), Decimal(0))
    if order.get("taxes_included") is True:
        total -= _taxes(line for line in lines if not _is_gift_card(line))
    return max(total, Decimal(0))


def given_back(refund: Mapping[str, Any], taxes_included: bool | None = None) -> Decimal:
    """Return what a refund gives back for goods, in the shop's money.

    Args:
        taxes_included: whether the order's prices include tax. A refund alone does not say so (None): then its payments
            do, which are the sum of its parts one way or the other. If they fit neither, tax counts as given back.
    """
    its = [line for line in objects(refund, "refund_line_items") if not _is_gift_card(line.get("line_item"))]
    included = _taxes_included(refund) if taxes_included is None else taxes_included
    total = _sum(its, "subtotal") - (_sum(its, "total_tax") if included else 0) - _sum(_discrepancies(refund), "amount")
    return max(total, Decimal(0))


def has_failed(refund: Mapping[str, Any]) -> bool:
    """Return whether none of a refund's payments went through or still may."""
    payments = _payments(refund)
    return bool(payments) and all(name(each, "status") in _FAILED for each in payments)


def currency_of(refund: Mapping[str, Any]) -> str | None:
    """Return the shop's currency, where the refund says it."""
    lines = (*objects(refund, "refund_line_items"), *objects(refund, "order_adjustments"))
    sets = (part(line, each, "shop_money") for line in lines for each in ("subtotal_set", "amount_set"))
    return next((found for each in sets if (found := name(each, "currency_code")) is not None), None)


def written(amount: Decimal) -> str:
    """Return an amount as facts have it."""
    return money.written(amount)


def _taxes_included(refund: Mapping[str, Any]) -> bool:
    lines, paid = objects(refund, "refund_line_items"), _sum(_paying(refund), "amount")
    shipping = [each for each in objects(refund, "order_adjustments") if _is_of_shipping(each)]
    shipped = objects(refund, "refund_shipping_lines")
    net = _sum(lines, "subtotal") - _sum(_discrepancies(refund), "amount")
    net += _sum(shipped, "subtotal_amount") - _sum(shipping, "amount")
    tax = _sum(lines, "total_tax") - _sum(shipping, "tax_amount") - _sum(_discrepancies(refund), "tax_amount")
    tax += _taxes(each.get("shipping_line") for each in shipped)
    return tax > 0 and paid == net


def _discrepancies(refund: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the differences between what the lines cost and what was given back: negative where more was."""
    return [each for each in objects(refund, "order_adjustments") if not _is_of_shipping(each)]


def _is_of_shipping(adjustment: Mapping[str, Any]) -> bool:
    return adjustment.get("kind") == "shipping_refund"


def _payments(refund: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in objects(refund, "transactions") if each.get("kind") == "refund"]


def _paying(refund: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in _payments(refund) if name(each, "status") not in _FAILED]


def _is_gift_card(line: object) -> bool:
    return part(line, "gift_card") is True


def _price(line: Mapping[str, Any]) -> Decimal:
    return _shop_money(line, "price") * decimal(line, "quantity") - _sum(
        objects(line, "discount_allocations"), "amount"
    )


def _taxes(lines: Iterable[object]) -> Decimal:
    return sum((_sum(objects(line, "tax_lines"), "price") for line in lines), Decimal(0))


def _sum(parts: Iterable[Mapping[str, Any]], what: str) -> Decimal:
    return sum((_shop_money(each, what) for each in parts), Decimal(0))


def _shop_money(within: Mapping[str, Any], what: str) -> Decimal:
    """Return an amount in the shop's money. Beside it, the same field without ``_set`` is in that money too."""
    shop = part(within, f"{what}_set", "shop_money")
    return decimal(within, what) if shop is None else decimal(shop, "amount")
