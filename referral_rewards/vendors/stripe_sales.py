"""What Stripe tells of sales: checkouts, invoices and subscriptions.

One purchase is told once, by the object that certainly comes: the invoice where there is one, else the checkout
session. Amounts are what was paid for the goods: without tax and shipping.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType, ReversalKind
from referral_rewards.vendors.port import Field, Reading, Unreadable
from referral_rewards.vendors.reading import needed, part, reference, second, whole, word
from referral_rewards.vendors.stripe_amounts import amount
from referral_rewards.vendors.stripe_event import StripeEvent

#: The kinds of conversions by the mode of a checkout, or the reason of an invoice.
_KINDS: Final[Mapping[str, str]] = {
    "payment": "purchase",
    "subscription_create": "subscription",
    "subscription_cycle": "renewal",
    "subscription_threshold": "renewal",
    "subscription_update": "subscription_change",
    "subscription": "renewal",
}
_OTHERWISE: Final = "purchase"
_PAID: Final = frozenset({"paid", "no_payment_required"})


def session(event: StripeEvent) -> Reading:
    """Read a checkout: the claim of whoever used a code, and the purchase if no invoice will tell of it."""
    its = event.object
    at, claim = second(its, "created"), _claim(event)
    if word(its, "mode") != "payment" or part(its, "invoice_creation", "enabled") is True:
        return event.reading(claim) if claim else event.ignored("its invoice tells of the purchase")
    if needed(its, "payment_status") not in _PAID:
        return event.reading(claim) if claim else event.ignored("it is not paid yet")
    name = needed(its, "id")
    payment = reference(its, "payment_intent")
    order = event.order(payment or name)
    total = part(its, "total_details")
    taxes = whole(total, "amount_tax", usual=0) + whole(total, "amount_shipping", usual=0)
    paid = whole(its, "amount_total") - taxes
    bought = _conversion(event, f"{name}.paid", at, order, paid, "payment", part(its, "customer_details"))
    links = dict.fromkeys(filter(None, (name, payment)), order)
    return event.reading(*filter(None, (claim, bought)), links=links)


def invoice(event: StripeEvent) -> Reading:
    """Read a paid invoice. Where it does not name its payment, it is held until one does: a refund names that only."""
    its = event.object
    name, reason = needed(its, "id"), word(its, "billing_reason") or ""
    order = event.order(name)
    at = second(its, "status_transitions", "paid_at")
    bought = _conversion(
        event,
        f"{name}.paid",
        at,
        order,
        _paid_for(its),
        reason,
        {
            "email": part(its, "customer_email"),
            "phone": part(its, "customer_phone"),
            "name": part(its, "customer_name"),
            "address": part(its, "customer_address"),
        },
    )
    payments = _payments_of(its)
    links = dict.fromkeys((name, *payments), order)
    is_known = payments or not whole(its, "amount_paid", usual=0) or part(its, "paid_out_of_band") is True
    return event.reading(bought, of=None if is_known else _payment_of(name), links=links)


def invoice_payment(event: StripeEvent) -> Reading:
    """Read which payment is of which invoice."""
    its = event.object
    name = needed(its, "invoice") if isinstance(part(its, "invoice"), str) else needed(its, "invoice", "id")
    named = [reference(its, "payment", each) for each in ("payment_intent", "charge")]
    return event.reading(of=name, links=dict.fromkeys((_payment_of(name), *filter(None, named))))


def subscription(event: StripeEvent) -> Reading:
    """Read a new subscription: a conversion without an amount, if the company has a kind for it."""
    kind = event.mapping.kinds.get(event.type)
    if kind is None:
        return event.ignored("its first invoice tells of the purchase")
    its, name = event.object, needed(event.object, "id")
    data = {**_named(event.order(name)), "kind": kind, "customer": _customer(event, {}), "subscription": name}
    return event.reading(event.fact(f"{name}.created", FactType.CONVERSION_RECORDED, second(its, "created"), data))


def subscription_ended(event: StripeEvent) -> Reading:
    """Read the end of a subscription: it reverses only the conversion without an amount that its beginning was."""
    if event.mapping.kinds.get("customer.subscription.created") is None:
        return event.ignored("what ends a subscription for the future takes nothing back")
    name, at = needed(event.object, "id"), second(event.object, "ended_at")
    data = {**_named(event.order(name)), "kind": ReversalKind.CANCELLATION.value}
    return event.reading(event.fact(f"{name}.ended", FactType.CONVERSION_REVERSED, at, data))


def _conversion(
    event: StripeEvent, name: str, at: datetime, order: OrderName, units: int, word_of_kind: str, who: object
) -> Mapping[str, Any]:
    its, mapping = event.object, event.mapping
    paid, currency = amount(max(units, 0), needed(its, "currency"))
    usual = mapping.kinds.get(word_of_kind) or _KINDS.get(word_of_kind, _OTHERWISE)
    new = mapping.find(Field.NEW_CUSTOMER, its)
    if new is not None and not isinstance(new, bool):
        raise Unreadable(Field.NEW_CUSTOMER, "is neither true nor false", "map a path that leads to true or false")
    data = {
        **_named(order),
        "kind": mapping.text(Field.KIND, its, usual),
        "customer": _customer(event, who),
        "amount": paid,
        "currency": currency,
        "new_customer": new,
        "coupon": mapping.text(Field.COUPON, its),
        "country": mapping.text(Field.COUNTRY, its, word(who, "address", "country")),
        "subscription": reference(its, "subscription") or reference(its, *_BY_PARENT),
        "payment_fingerprint": mapping.text(Field.FINGERPRINT, its),
        "ip": mapping.text(Field.IP, its),
    }
    return event.fact(name, FactType.CONVERSION_RECORDED, at, data)


def _claim(event: StripeEvent) -> Mapping[str, Any] | None:
    """Return the claim of whoever checked out with a referral or a code; None without either."""
    its, mapping = event.object, event.mapping
    referral, code = mapping.text(Field.REFERRAL, its), mapping.text(Field.CODE, its)
    referrer, program = mapping.text(Field.REFERRER, its), mapping.text(Field.PROGRAM, its, mapping.program)
    if referral is None and (program is None or (code or referrer) is None):
        return None
    named = {"referral": referral} if referral else {"program": program, "referrer": referrer, "referrer_code": code}
    who = part(its, "customer_details")
    data = {**named, "channel": None if referral else "link", "referee": _customer(event, who)}
    return event.fact(f"{needed(its, 'id')}.claimed", FactType.REFERRAL_CLAIMED, second(its, "created"), data)


def _customer(event: StripeEvent, who: object) -> Mapping[str, Any]:
    its, mapping = event.object, event.mapping
    return {
        "customer": mapping.text(Field.CUSTOMER, its, reference(its, "customer")),
        "email": mapping.text(Field.EMAIL, its, word(who, "email") or word(its, "customer_email")),
        "phone": mapping.text(Field.PHONE, its, word(who, "phone")),
        "name": mapping.text(Field.NAME, its, word(who, "name")),
    }


def _named(order: OrderName) -> Mapping[str, Any]:
    return {"order": order.id, "store": order.store}


def _paid_for(its: object) -> int:
    """Return what an invoice charged for goods, in Stripe's units: without tax, shipping, and what a credit note took
    off before it was paid."""
    total = part(its, "total_excluding_tax")
    net = whole(its, "total") - _tax_of(its) if total is None else whole(its, "total_excluding_tax")
    shipping = whole(its, "shipping_cost", "amount_subtotal", usual=whole(its, "amount_shipping", usual=0))
    return net - shipping - whole(its, "pre_payment_credit_notes_amount", usual=0)


def _tax_of(its: object) -> int:
    return whole(its, "tax", usual=0)


def _payments_of(its: object) -> tuple[str, ...]:
    """Return the payments that an invoice names. Versions since 2025-03-31 name them only where they are included."""
    named = [reference(its, "payment_intent"), reference(its, "charge")]
    included = part(its, "payments", "data")
    for each in included if isinstance(included, list) else ():
        named += [reference(each, "payment", one) for one in ("payment_intent", "charge")]
    return tuple(dict.fromkeys(filter(None, named)))


def _payment_of(invoice: str) -> str:
    """Return a name that is linked once a payment of the invoice is known."""
    return f"payment of {invoice}"


_BY_PARENT: Final = ("parent", "subscription_details", "subscription")
