"""What PayPal's words for batches, items and errors mean:
https://developer.paypal.com/docs/api/payments.payouts-batch/v1/."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from referral_rewards.domain.payouts.rail_amounts import minor_of_decimal
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    Reversed,
    Unfunded,
    Unknown,
)
from referral_rewards.rails.asking import Failure, Reply, for_want_of_funds, trouble

_UNDER_WAY: Final = frozenset({"PENDING", "PROCESSING", "UNCLAIMED", "ONHOLD"})
_FAILED: Final = frozenset({"FAILED", "BLOCKED", "DENIED", "CANCELED", "RETURNED", "REFUNDED", "REVERSED"})
#: PayPal's words for want of funds: https://developer.paypal.com/docs/payouts/standard/reference/errors/.
NO_FUNDS: Final = frozenset({"INSUFFICIENT_FUNDS", "NEGATIVE_BALANCE", "NON_HOLDING_CURRENCY"})
#: Its words for an account of ours that may not pay, however right the request is.
BARRED: Final = frozenset(
    {
        *("SENDER_ACCOUNT_LOCKED", "ACCOUNT_RESTRICTED", "SPENDING_LIMIT_EXCEEDED", "POS_LIMIT_EXCEEDED"),
        *("ACCOUNT_UNCONFIRMED_EMAIL", "USER_COUNTRY_NOT_ALLOWED", "SENDER_STATE_RESTRICTED", "REFUSED_ACTION_DENIED"),
    }
)
_GIVEN_BACK: Final = frozenset({"RETURNED", "REFUNDED", "REVERSED"})


def not_taken(reply: Reply) -> Failure | Unfunded:
    """Return why an order was not taken: our account has not enough, may not pay at all, or the request is refused."""
    said = trouble(reply.status, name(reply))
    if not isinstance(said, Declined):
        return said
    if said.code in BARRED:
        return Misconfigured(f"our own account may not pay: {said.why}")
    return for_want_of_funds(said, *NO_FUNDS)


def name(reply: Reply) -> object:
    """Return PayPal's name of the error."""
    return reply.body.get("name")


def answer(request: PaymentRequest, key: str, reference: str, found: Mapping[str, Any]) -> Answer:
    """Return what a batch shows. If it is not ours or holds more than one item, its amount is None."""
    header, items = found["batch_header"], found.get("items") or []
    ours = header["sender_batch_header"]["sender_batch_id"] == key
    status = header["batch_status"]
    if not items:
        if status in _FAILED and ours:
            return Declined(f"PayPal did not pay it ({status})")
        amount = header.get("amount") or {"value": "NaN", "currency": ""}
        order = _order(request, reference, amount, request.destination, ours=ours)
        return Accepted(order, f"PayPal has it as {status}") if status in _UNDER_WAY else Unknown(f"it is {status}")
    item = items[0]["payout_item"]
    ours = ours and len(items) == 1 and item["sender_item_id"] == str(request.payout_id)
    order = _order(request, reference, item["amount"], item["receiver"], ours=ours)
    if not ours:
        return order
    if (its := items[0].get("transaction_status")) == "SUCCESS":
        return order
    # The item's status counts: in a batch that succeeded it may still be unclaimed. Without one, the batch's counts.
    status = its or status
    if status in _FAILED:
        return _refused(items[0], status)
    return Accepted(order, f"PayPal has it as {status}") if status in _UNDER_WAY else Unknown(f"it is {status}")


def _refused(item: Mapping[str, Any], status: str) -> Declined | Unfunded:
    """Return why an item was not paid. PayPal accepts an order before it checks our balance."""
    name = (item.get("errors") or {}).get("name")
    if name in NO_FUNDS or name in BARRED:
        # The order was taken and is over, so that a new one is needed once our account is in order.
        return Unfunded(f"PayPal did not pay it ({name})", barred=name in BARRED)
    return Declined(f"PayPal did not pay it ({name if isinstance(name, str) and name else status})")


def _order(
    request: PaymentRequest, reference: str, amount: Mapping[str, Any], receiver: str | None, *, ours: bool
) -> Paid:
    currency = str(amount["currency"])
    amount_minor = minor_of_decimal(Decimal(str(amount["value"])), currency) if ours else None
    return Paid(reference, amount_minor, currency, receiver)


def given_back(request: PaymentRequest, item: Mapping[str, Any]) -> Reversed | Declined | Unknown:
    """Return the outcome of a reversal, as the item shows it."""
    status = item["transaction_status"]
    if status in _GIVEN_BACK:
        return Reversed(str(item["payout_item_id"]), request.amount_minor, request.currency)
    kept = status == "SUCCESS" or status in _FAILED
    return Declined(f"PayPal does not give it back ({status})") if kept else Unknown(f"it is {status}")
