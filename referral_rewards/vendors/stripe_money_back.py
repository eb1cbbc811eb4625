"""What Stripe tells of money that goes back: refunds, credit notes and disputes."""

from collections.abc import Mapping
from typing import Any, Final

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import DisputeOutcome, FactType, ReversalKind
from referral_rewards.vendors.port import Field, Reading, Unreadable
from referral_rewards.vendors.reading import needed, part, reference, second, whole, word
from referral_rewards.vendors.stripe_amounts import amount
from referral_rewards.vendors.stripe_event import StripeEvent

#: A refund that is under way takes what it asks for: if it fails, it gives that back.
_TAKES: Final = frozenset({"pending", "requires_action", "succeeded"})
_FAILED: Final = frozenset({"failed", "canceled"})
#: How a dispute ended, by its status. An inquiry took nothing.
_OUTCOMES: Final[Mapping[str, DisputeOutcome]] = {
    "won": DisputeOutcome.WON,
    "lost": DisputeOutcome.LOST,
    "warning_closed": DisputeOutcome.INQUIRY_CLOSED,
    "prevented": DisputeOutcome.PREVENTED,
    "charge_refunded": DisputeOutcome.REFUNDED,
}


def refund(event: StripeEvent) -> Reading:
    """Read a refund by its id, whichever event tells its state."""
    its, name = event.object, needed(event.object, "id")
    status = word(its, "status") or "succeeded"
    if status not in _TAKES | _FAILED:
        raise Unreadable(
            "status", f"{status!r} is no status of a refund", f"one of {', '.join(sorted(_TAKES | _FAILED))}"
        )
    taken, currency = amount(whole(its, "amount"), needed(its, "currency"))
    data = {**_order(event), "reversal": name, "kind": ReversalKind.REFUND.value, "amount": taken, "currency": currency}
    facts = [event.fact(name, FactType.CONVERSION_REVERSED, second(its, "created"), data)]
    if status in _FAILED:
        failed = {**_order(event), "reversal": name}
        facts.append(event.fact(f"{name}.failed.{event.stamp}", FactType.REVERSAL_FAILED, event.at, failed))
    charge = reference(its, "charge")
    links = {} if charge is None else {_refunds_of(charge): OrderName(charge)}
    return event.reading(*facts, of=_of(event, _payment(its)), links=links)


def charge_refunded(event: StripeEvent) -> Reading:
    """Read that a charge was refunded, without the refund's id: an event about the refund itself must tell the rest.

    It waits for one, so that an endpoint that lacks these events is noticed.
    """
    its = event.object
    return event.reading(of=_refunds_of(needed(its, "id")))


def credit_note(event: StripeEvent) -> Reading:
    """Read a credit note: what it gave back in another way than by a refund, which tells of itself."""
    its, name = event.object, needed(event.object, "id")
    units = whole(its, "post_payment_amount", usual=_before_versions_with_parts(its)) - _refunded(its)
    if units <= 0:
        return event.ignored("it gives nothing back but by refunds, or was taken off before the invoice was paid")
    given, currency = amount(units, needed(its, "currency"))
    of = reference(its, "invoice")
    data = {**_order(event), "reversal": name, "kind": ReversalKind.REFUND.value, "amount": given, "currency": currency}
    facts = [event.fact(name, FactType.CONVERSION_REVERSED, second(its, "created"), data)]
    if word(its, "status") == "void":
        voided = {**_order(event), "reversal": name}
        facts.append(event.fact(f"{name}.voided", FactType.REVERSAL_FAILED, second(its, "voided_at"), voided))
    return event.reading(*facts, of=_of(event, needed(its, "id") if of is None else of))


def dispute(event: StripeEvent) -> Reading:
    """Read a dispute: that it was opened, and how it ended if it has."""
    its, name = event.object, needed(event.object, "id")
    status = needed(its, "status")
    disputed, currency = amount(whole(its, "amount"), needed(its, "currency"))
    about = {**_order(event), "dispute": name, "amount": disputed, "currency": currency}
    facts = [event.fact(name, FactType.DISPUTE_OPENED, second(its, "created"), about)]
    outcome = _OUTCOMES.get(status)
    if outcome is not None:
        closed = {**about, "outcome": outcome.value}
        facts.append(event.fact(f"{name}.{status}.{event.stamp}", FactType.DISPUTE_CLOSED, event.at, closed))
    elif event.type == "charge.dispute.closed":
        raise Unreadable("status", f"{status!r} is no end of a dispute", f"one of {', '.join(_OUTCOMES)}")
    return event.reading(*facts, of=_of(event, _payment(its)))


def _order(event: StripeEvent) -> Mapping[str, Any]:
    """Return the order that the company's own metadata names on the object; nothing if it follows from the payment."""
    order = event.mapping.text(Field.ORDER, event.object)
    return {} if order is None else {"order": order, "store": event.order(order).store}


def _of(event: StripeEvent, name: str) -> str | None:
    """Return the name whose order is meant; None where the object names the order itself."""
    return name if event.mapping.text(Field.ORDER, event.object) is None else None


def _payment(its: object) -> str:
    found = reference(its, "payment_intent") or reference(its, "charge")
    if found is None:
        raise Unreadable("payment_intent", "and charge are missing", "the payment that it is about")
    return found


def _refunds_of(charge: str) -> str:
    return f"refunds of {charge}"


def _before_versions_with_parts(its: object) -> int:
    """Return what a credit note gave back after payment, in versions that do not say it by itself."""
    return whole(its, "amount") if word(its, "type") == "post_payment" else 0


def _refunded(its: object) -> int:
    refunds = part(its, "refunds")
    told = [whole(each, "amount_refunded") for each in refunds] if isinstance(refunds, list) else []
    if not told and reference(its, "refund") is not None:
        return whole(its, "amount")
    return sum(told)
