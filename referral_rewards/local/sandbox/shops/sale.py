"""A sale as a person would put it. The shop and the processor each tell it in their own form."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Seller(StrEnum):
    """Who tells of a sale: the Shopify shop, or Stripe Checkout."""

    SHOP = "shop"
    CHECKOUT = "checkout"


@dataclass(frozen=True, slots=True)
class Sale:
    """Goods that were paid. Amounts are in ``currency``, with two places.

    ``order`` is a number, as a shop gives it. ``customer`` is a number too; ``code`` and ``program`` are what the
    customer came in with, by a referrer's link.
    """

    order: int
    at: datetime
    email: str
    goods: Decimal
    tax: Decimal = Decimal("0.00")
    shipping: Decimal = Decimal("0.00")
    currency: str = "USD"
    customer: int = 0
    name: str = "Sam Sandbox"
    code: str | None = None
    program: str | None = None

    @property
    def total(self) -> Decimal:
        """What the customer paid."""
        return self.goods + self.tax + self.shipping
