"""What an order and a funding source of Tremendous say: https://developers.tremendous.com/reference/get-order."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from referral_rewards.domain.books.reconciliation import Listed, ListedState, payout_of
from referral_rewards.domain.payouts.rail_amounts import minor_of_decimal
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Paid,
    PaymentRequest,
    Reversed,
    Unknown,
)
from referral_rewards.rails.asking import seen
from referral_rewards.rails.listing import Named, text_of

_EXECUTED: Final = "EXECUTED"
_UNDER_WAY: Final = frozenset(
    {"CART", "OPEN", "PENDING APPROVAL", "PENDING INTERNAL PAYMENT APPROVAL", "PENDING SETTLEMENT"}
)
_FAILED: Final = frozenset({"FAILED", "CANCELED"})
_ACTIVE: Final = "active"
_REFUNDED_IN: Final = "USD"
_LINK: Final = re.compile(r"https://[!-~]{1,2000}", re.ASCII)


def web_address(text: Any) -> str:
    """Return the text if it is a link that is safe in a letter, else raise ValueError."""
    if not isinstance(text, str) or not _LINK.fullmatch(text):
        raise ValueError("no link")
    return text


def held(source: Mapping[str, Any], currency: str) -> int | None:
    """Return what a source holds in cents; 0 if it can't be used, None if it does not say, or in another currency."""
    if source.get("status", _ACTIVE) != _ACTIVE:
        return 0
    meta = source["meta"]
    held = meta.get("available_cents")
    return None if held is None or meta.get("currency_code", "USD") != currency else int(held)


def named(order: Any) -> Named:
    """Return what an order shows of its names. It never raises."""
    shown = order if isinstance(order, Mapping) else {}
    key = text_of(shown.get("external_id"))
    at = seen(lambda: datetime.fromisoformat(shown["created_at"]))
    return Named(text_of(shown.get("id")), payout_of(key), key, None if isinstance(at, Unknown) else at)


def listed(order: Mapping[str, Any]) -> Listed:
    """Return an order as listed. Only its id, date and status are sure; of any other than one reward the amount is
    None."""
    rewards, status = order.get("rewards") or [], order["status"]
    value, whom = (rewards[0]["value"], rewards[0].get("recipient") or {}) if rewards else ({}, {})
    currency = str(value.get("currency_code") or "")
    amount_minor = minor_of_decimal(Decimal(value["denomination"]), currency) if len(rewards) == 1 else None
    back = came_back(order, amount_minor, currency)
    state = ListedState.PAID if status == _EXECUTED else ListedState.UNDER_WAY
    names = named(order)
    return Listed(
        reference=str(order["id"]),
        payout=names.payout,
        key=names.key,
        # Of a part that came back in another currency it can't be said how much of the reward it is.
        amount_minor=amount_minor if back is not None else None,
        currency=currency,
        destination=text_of(whom.get("name")),
        state=ListedState.FAILED if status in _FAILED or (back and back == amount_minor) else state,
        reversed_minor=back or 0,
        at=datetime.fromisoformat(order["created_at"]),
    )


def came_back(order: Mapping[str, Any], amount_minor: int | None, currency: str) -> int | None:
    """Return how much of an order of that amount was refunded, whatever its status says: in minor units of the reward's
    currency, at most all of it. None: a part of it, and it can't be said how much.

    Refunds and the price of the order, fees included, are told in US dollars.
    """
    payment = order.get("payment") or {}
    refunded = Decimal(str((payment.get("refund") or {}).get("total") or 0))
    if refunded <= 0:
        return 0
    if amount_minor is None:
        return None
    if (price := payment.get("subtotal")) is not None and refunded >= Decimal(str(price)):
        return amount_minor
    part = minor_of_decimal(refunded, currency) if currency == _REFUNDED_IN else None
    return None if part is None else min(part, amount_minor)


def answer(request: PaymentRequest, key: str, order: Mapping[str, Any]) -> Answer:
    """Return what an order shows. If it is not ours or holds more than one reward, its amount is None. One that was
    refunded whole no longer counts as paid."""
    rewards, status = order["rewards"], order["status"]
    ours = order["external_id"] == key and len(rewards) == 1
    value = rewards[0]["value"]
    currency = str(value["currency_code"])
    amount_minor = minor_of_decimal(Decimal(value["denomination"]), currency) if ours else None
    name = rewards[0]["recipient"]["name"]
    placed = Paid(str(order["id"]), amount_minor, currency, request.destination if name == request.payee else name)
    if ours and amount_minor is not None and came_back(order, amount_minor, currency) == amount_minor:
        return Declined("Tremendous refunded it")
    if status == _EXECUTED or not ours:
        return placed
    if status in _FAILED:
        return Declined(f"Tremendous did not carry it out ({status})")
    return Accepted(placed, f"Tremendous has it as {status}") if status in _UNDER_WAY else Unknown(f"it is {status}")


def cancelled(request: PaymentRequest, order: Mapping[str, Any]) -> Reversed | None:
    """Return the reversal if the order was cancelled or refunded whole, else None."""
    back = came_back(order, request.amount_minor, request.currency)
    if order["status"] != "CANCELED" and back != request.amount_minor:
        return None
    return Reversed(str(order["rewards"][0]["id"]), request.amount_minor, request.currency)
