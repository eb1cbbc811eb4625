"""Stripe's events: https://docs.stripe.com/api/events/types, read as of API version 2026-10-28.

Versions since 2019 are read too: where they differ, both forms are. What becomes of each type of event is the table
``_READ``; the guide says the same in words (docs/guides/connecting-sources.md).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.vendors import stripe_money_back, stripe_sales
from referral_rewards.vendors.port import Mode, Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.reading import needed, part, second, word
from referral_rewards.vendors.signatures import check_secrets, check_stamp, json_object, same
from referral_rewards.vendors.stripe_event import StripeEvent

_SIGNATURES_MAX: Final = 10


class Stripe:
    """Stripe, for one account, or for a platform with the connected accounts that the source names."""

    name = "stripe"
    headers: Sequence[str] = ()

    def verify(self, secrets: Sequence[str], request: Told, mapping: SourceMapping, now: datetime) -> None:
        """See `Vendor.verify`. https://docs.stripe.com/webhooks/signature"""
        check_secrets(secrets)
        pairs = [each.partition("=")[::2] for each in request.headers.get("stripe-signature", "").split(",")]
        stamps = [value for name, value in pairs if name.strip() == "t"]
        told = [value for name, value in pairs if name.strip() == "v1"][:_SIGNATURES_MAX]
        if len(stamps) != 1 or not told:
            raise NotGenuine("Stripe-Signature has no stamp, or no signature of version 1")
        signed = stamps[0].encode() + b"." + request.body
        if not same([hmac.new(each.encode(), signed, hashlib.sha256).hexdigest() for each in secrets], told):
            raise NotGenuine("no signature in Stripe-Signature is of this body by a secret of this source")
        check_stamp(stamps[0], now, "Stripe-Signature")

    def events(self, request: Told) -> Sequence[Told]:
        """Return the request: each has one event."""
        return (request,)

    def read(self, event: Told, mapping: SourceMapping) -> Reading:
        """See `Vendor.read`."""
        document = json_object(event.body)
        kind, at = needed(document, "type"), second(document, "created")
        told = StripeEvent(needed(document, "id"), kind, at, part(document, "data", "object"), mapping)
        if (why := _not_ours(document, mapping)) is not None:
            return told.ignored(why)
        if (read := _READ.get(kind)) is None:
            return told.ignored("events of this type say nothing that a reward depends on")
        try:
            return read(told)
        except Unreadable as error:
            raise error.of(told.id, kind) from None


def _not_ours(document: Mapping[str, Any], mapping: SourceMapping) -> str | None:
    """Return why an event is not of the world, or of an account, that the source names; None if it is."""
    live = part(document, "livemode")
    if live is not (mapping.mode is Mode.LIVE):
        return f"it is no event of {mapping.mode} mode, which this source takes"
    account = word(document, "account")
    if account is None and not mapping.accounts:
        return None
    if account is None:
        return "it is of the platform's own account, and this source names connected accounts"
    return None if account in mapping.accounts else f"it is of {account}, which this source does not name"


_READ: Final[Mapping[str, Callable[[StripeEvent], Reading]]] = {
    "checkout.session.completed": stripe_sales.session,
    "checkout.session.async_payment_succeeded": stripe_sales.session,
    "invoice.paid": stripe_sales.invoice,
    "invoice.payment_succeeded": stripe_sales.invoice,
    "invoice_payment.paid": stripe_sales.invoice_payment,
    "customer.subscription.created": stripe_sales.subscription,
    "customer.subscription.deleted": stripe_sales.subscription_ended,
    "refund.created": stripe_money_back.refund,
    "refund.updated": stripe_money_back.refund,
    "refund.failed": stripe_money_back.refund,
    "charge.refund.updated": stripe_money_back.refund,
    "charge.refunded": stripe_money_back.charge_refunded,
    "credit_note.created": stripe_money_back.credit_note,
    "credit_note.voided": stripe_money_back.credit_note,
    "charge.dispute.created": stripe_money_back.dispute,
    "charge.dispute.updated": stripe_money_back.dispute,
    "charge.dispute.closed": stripe_money_back.dispute,
}

#: The types of events that facts are made of.
TYPES: Final[Sequence[str]] = tuple(_READ)
