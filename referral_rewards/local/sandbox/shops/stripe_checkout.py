"""Stripe Checkout: sessions, refunds and disputes, told as https://docs.stripe.com/api/events/types documents them.

The shapes are those of API version 2026-10-28. A refund and a dispute name their payment, and no order.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from referral_rewards.local.sandbox.shops.delivery import STRIPE, Delivery
from referral_rewards.local.sandbox.shops.sale import Sale

_VERSION: Final = "2026-10-28.endive"
_OPEN: Final = "needs_response"


class StripeCheckout:
    """One account. An order of the number N is paid by ``pi_N`` through the session ``cs_N``."""

    def sell(self, sale: Sale, *, names_order: bool = False) -> list[Delivery]:
        """Return what is told of a checkout that was paid. ``names_order``: a shop sold it, whose order it names."""
        named = {"referral_code": sale.code, "referral_program": sale.program}
        named |= {"order_id": str(sale.order)} if names_order else {}
        session = {
            "id": f"cs_{sale.order}",
            "object": "checkout.session",
            "amount_subtotal": _units(sale.goods),
            "amount_total": _units(sale.total),
            "client_reference_id": str(sale.customer or sale.order),
            "created": _second(sale.at),
            "currency": sale.currency.lower(),
            "customer": f"cus_{sale.customer or sale.order}",
            "customer_details": {
                "address": {"city": None, "country": "CA", "line1": None, "postal_code": None, "state": None},
                "email": sale.email,
                "name": sale.name,
                "phone": None,
                "tax_exempt": "none",
            },
            "invoice": None,
            "invoice_creation": {"enabled": False},
            "livemode": True,
            "metadata": {name: value for name, value in named.items() if value},
            "mode": "payment",
            "payment_intent": f"pi_{sale.order}",
            "payment_status": "paid",
            "status": "complete",
            "subscription": None,
            "total_details": {
                "amount_discount": 0,
                "amount_shipping": _units(sale.shipping),
                "amount_tax": _units(sale.tax),
            },
        }
        return [_event("checkout.session.completed", session, sale.at)]

    def give_back(self, order: int, number: int, amount: Decimal, currency: str, at: datetime) -> list[Delivery]:
        """Return what is told of a refund: that it begins, that it went through, and that its charge was refunded."""
        refund = {
            "id": f"re_{number}",
            "object": "refund",
            "amount": _units(amount),
            "charge": f"ch_{order}",
            "created": _second(at),
            "currency": currency.lower(),
            "metadata": {},
            "payment_intent": f"pi_{order}",
            "reason": "requested_by_customer",
            "status": "pending",
        }
        charge = {"id": f"ch_{order}", "object": "charge", "amount_refunded": _units(amount), "refunded": False}
        return [
            _event("refund.created", refund, at),
            _event("refund.updated", {**refund, "status": "succeeded"}, at),
            _event("charge.refunded", charge, at),
        ]

    def dispute(
        self, order: int, number: int, amount: Decimal, currency: str, at: datetime, outcome: str, ended_at: datetime
    ) -> list[Delivery]:
        """Return what is told of a dispute that was opened, and ended as ``outcome`` says (``won``, ``lost``)."""
        dispute = {
            "id": f"du_{number}",
            "object": "dispute",
            "amount": _units(amount),
            "charge": f"ch_{order}",
            "created": _second(at),
            "currency": currency.lower(),
            "is_charge_refundable": False,
            "livemode": True,
            "metadata": {},
            "payment_intent": f"pi_{order}",
            "reason": "fraudulent",
            "status": _OPEN,
        }
        closed = {**dispute, "status": outcome}
        return [
            _event("charge.dispute.created", dispute, at),
            _event("charge.dispute.closed", closed, ended_at),
        ]


def _event(kind: str, thing: Mapping[str, Any], at: datetime) -> Delivery:
    document = {
        "id": f"evt_{kind.replace('.', '_')}_{thing['id']}",
        "object": "event",
        "api_version": _VERSION,
        "created": _second(at),
        "livemode": True,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": thing},
    }
    return Delivery.of(STRIPE, document)


def _units(amount: Decimal) -> int:
    return int(amount.scaleb(2))


def _second(at: datetime) -> int:
    return int(at.timestamp())
