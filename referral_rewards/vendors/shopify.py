"""Shopify: https://shopify.dev/docs/api/webhooks, orders, refunds and disputes.

An order is told once it is paid. What is signed is the body alone, so each fact depends on what the body says: the
headers only name the form of the body and its shop. Shopify delivers in any order, and tells an order's state anew at
each change: of its amounts the latest stands.

Paths of a mapping lead into the order, to which two parts are added: ``attributes``, its note attributes by name, and
``landing``, the parameters of the address at which the customer came in.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import DisputeOutcome, FactType, ReversalKind
from referral_rewards.vendors import shopify_amounts as amounts
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Mode, Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.shopify_orders import Order, is_renamed, name_of, told_when_changed, told_when_paid
from referral_rewards.vendors.signatures import check_secrets, json_object, same
from referral_rewards.vendors.values import decimal, first_moment, name, needed_name, objects

SIGNATURE: Final = "x-shopify-hmac-sha256"
TOPIC: Final = "x-shopify-topic"
SHOP: Final = "x-shopify-shop-domain"
#: The same for each delivery of one event; older versions of the API only have the second.
EVENT_IDS: Final = ("x-shopify-event-id", "x-shopify-webhook-id")

#: What an order that was asked for at Shopify's API stands under. No webhook has such a topic.
PULLED: Final = "orders/pulled"
_ORDER_TOPICS: Final = frozenset({"orders/paid", "orders/updated", "orders/cancelled", PULLED})
_DISPUTE_TOPICS: Final = frozenset({"disputes/create", "disputes/update"})
_OPEN: Final = frozenset({"needs_response", "under_review"})
_OUTCOMES: Final[Mapping[str, DisputeOutcome]] = {
    "won": DisputeOutcome.WON,
    "lost": DisputeOutcome.LOST,
    "accepted": DisputeOutcome.LOST,
    "charge_refunded": DisputeOutcome.REFUNDED,
    "prevented": DisputeOutcome.PREVENTED,
}
IGNORED: Final[Mapping[str, str]] = {
    "orders/create": "an order counts once it is paid: orders/paid tells of it",
    "orders/edited": "it names no amounts: orders/updated tells the new one",
    "orders/partially_paid": "an order counts once it is paid in full: orders/paid tells of it",
    "orders/delete": "Shopify deletes only what was cancelled or archived before",
    "customers/redact": "whoever looks after personal data acts on it",
    "customers/data_request": "whoever looks after personal data acts on it",
    "shop/redact": "whoever looks after personal data acts on it",
}
OTHER_TOPIC: Final = "this topic says nothing about an order's money"
NOT_PAID: Final = "the order is not paid"
NOTHING_BACK: Final = "it gives nothing back for goods"
NO_ORDER: Final = "the dispute is about no order"
OTHER_SHOP: Final = "it is of a shop that this source does not take"
IS_TEST: Final = "it is a test"
IS_NO_TEST: Final = "it is no test, and this source takes tests alone"


class Shopify:
    """The vendor Shopify. Its secret is the client secret of the app, or the one that the shop's settings show."""

    name = "shopify"
    headers: Sequence[str] = ("x-shopify-",)

    def verify(self, secrets: Sequence[str], request: Told, mapping: SourceMapping, now: datetime) -> None:
        """Return if one of the secrets signed the body. Shopify signs no stamp, and retries for hours."""
        check_secrets(secrets)
        digests = (hmac.digest(secret.encode(), request.body, hashlib.sha256) for secret in secrets)
        right = [base64.b64encode(each).decode() for each in digests]
        if not same(right, [request.headers.get(SIGNATURE, "").strip()]):
            raise NotGenuine("X-Shopify-Hmac-Sha256 is not of this body by one of our secrets")

    def events(self, request: Told) -> Sequence[Told]:
        return (request,)

    def read(self, event: Told, mapping: SourceMapping) -> Reading:
        topic = _header(event, TOPIC)
        return _read(topic, f"{topic}/{_event_id(event)}", event, mapping)


def _read(topic: str, event_id: str, event: Told, mapping: SourceMapping) -> Reading:
    if mapping.accounts and event.headers.get(SHOP) not in mapping.accounts:
        return Reading(event_id, topic, ignored=OTHER_SHOP)
    if topic in _ORDER_TOPICS:
        return _of_order(topic, event_id, Order(json_object(event.body), event.headers.get(SHOP), mapping))
    if topic == "refunds/create":
        return _of_refund(topic, event_id, json_object(event.body), mapping)
    if topic in _DISPUTE_TOPICS:
        return _of_dispute(topic, event_id, json_object(event.body), mapping)
    return Reading(event_id, topic, ignored=IGNORED.get(topic, OTHER_TOPIC))


def _event_id(event: Told) -> str:
    return next((found for each in EVENT_IDS if (found := event.headers.get(each))), "") or _header(event, EVENT_IDS[0])


def _header(event: Told, which: str) -> str:
    if found := event.headers.get(which, "").strip():
        return found
    raise Unreadable(which, "is missing", "let all headers that begin with X-Shopify- through to this address")


def _of_order(topic: str, event_id: str, order: Order) -> Reading:
    at = first_moment(order.content, "updated_at", "created_at")
    ignored = _of_other_mode(order.content.get("test") is True, order.mapping) or (None if order.counts else NOT_PAID)
    if ignored is not None:
        return Reading(event_id, topic, at, ignored=ignored)
    if topic == "orders/paid":
        links = {**order.links, order.mark: OrderName(order.order, order.store)}
        return Reading(event_id, topic, at, (*told_when_paid(order), *_refunds_of(order)), links=links)
    told = (*told_when_changed(order, at), *_refunds_of(order))
    if topic == PULLED and order.is_paid:
        links = {**order.links, order.mark: OrderName(order.order, order.store)}
        once = tuple(told_when_paid(order.before_cancelled))
        return Reading(event_id, topic, at, told, links=links, once=once, mark=order.mark)
    return Reading(event_id, topic, at, told, links=order.links)


def _refunds_of(order: Order) -> Iterator[Mapping[str, Any]]:
    included = order.content.get("taxes_included") is True
    for refund in objects(order.content, "refunds"):
        yield from _refund(refund, order.place, order.mapping.source, included, order.suffix)


def _of_refund(topic: str, event_id: str, refund: Mapping[str, Any], mapping: SourceMapping) -> Reading:
    at = first_moment(refund, "processed_at", "created_at")
    is_test = any(each.get("test") is True for each in objects(refund, "transactions"))
    if (ignored := _of_other_mode(is_test, mapping)) is not None:
        return Reading(event_id, topic, at, ignored=ignored)
    order = needed_name(refund, "order_id")
    told = tuple(_refund(refund, _place(order, mapping), mapping.source))
    if not told:
        return Reading(event_id, topic, at, ignored=NOTHING_BACK)
    return Reading(event_id, topic, at, told, of=_of(order, mapping))


def _refund(
    refund: Mapping[str, Any],
    place: Mapping[str, str | None],
    source: str,
    taxes_included: bool | None = None,
    suffix: str = "",
) -> Iterator[Mapping[str, Any]]:
    amount = amounts.given_back(refund, taxes_included)
    if not amount:
        return
    its, at = needed_name(refund, "id"), first_moment(refund, "processed_at", "created_at")
    written = amounts.written(amount)
    about = {**place, "reversal": its}
    data = {**about, "kind": ReversalKind.REFUND, "amount": written, "currency": amounts.currency_of(refund)}
    yield fact(source, f"refund/{its}/{written}{suffix}", FactType.CONVERSION_REVERSED, at, data)
    if amounts.has_failed(refund):
        yield fact(source, f"refund/{its}/failed{suffix}", FactType.REVERSAL_FAILED, at, about)


def _of_dispute(topic: str, event_id: str, dispute: Mapping[str, Any], mapping: SourceMapping) -> Reading:
    its, opened_at = needed_name(dispute, "id"), first_moment(dispute, "initiated_at")
    order, status = name(dispute, "order_id"), needed_name(dispute, "status")
    if order is None:
        return Reading(event_id, topic, opened_at, ignored=NO_ORDER)
    about = {**_place(order, mapping), "dispute": its, "currency": name(dispute, "currency")}
    about["amount"] = amounts.written(decimal(dispute, "amount")) if name(dispute, "amount") else None
    told = [fact(mapping.source, f"dispute/{its}/opened", FactType.DISPUTE_OPENED, opened_at, about)]
    if status not in _OPEN:
        outcome = _outcome(status, name(dispute, "type") == "inquiry")
        closed_at = max(first_moment(dispute, "finalized_on", "initiated_at"), opened_at)
        closing = {**about, "outcome": outcome}
        told.append(fact(mapping.source, f"dispute/{its}/{outcome}", FactType.DISPUTE_CLOSED, closed_at, closing))
    return Reading(event_id, topic, opened_at, tuple(told), of=_of(order, mapping))


def _outcome(status: str, is_inquiry: bool) -> DisputeOutcome:
    if status not in _OUTCOMES:
        raise Unreadable("status", "is no state of a dispute that we know", f"one of {', '.join(sorted(_OUTCOMES))}")
    return DisputeOutcome.INQUIRY_CLOSED if is_inquiry and status == "won" else _OUTCOMES[status]


def _of_other_mode(is_test: bool, mapping: SourceMapping) -> str | None:
    if is_test is (mapping.mode is Mode.TEST):
        return None
    return IS_TEST if is_test else IS_NO_TEST


def _place(order: str, mapping: SourceMapping) -> dict[str, str | None]:
    return {} if is_renamed(mapping) else {"order": order, "store": mapping.store}


def _of(order: str, mapping: SourceMapping) -> str | None:
    return name_of(order) if is_renamed(mapping) else None
