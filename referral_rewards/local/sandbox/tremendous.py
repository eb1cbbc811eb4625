"""The part of Tremendous that sends gift cards: orders of one reward, and its cancellation.

https://developers.tremendous.com/reference/create-order: the first order under an ``external_id`` gets 200, the same
order again gets 201 with the original, and a different order gets 409.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from referral_rewards.local.sandbox.provider import Clock, Provider, Refused, Request, Response, strictly, text

KEY: Final = "TEST_of_the_sandbox"
WEBHOOK_KEY: Final = "a-key-of-the-sandbox"
_PLENTY: Final = 10**12
#: How long after its purchase a reward can be cancelled.
_CANCELLABLE: Final = timedelta(days=7)
#: Statuses of orders that wait for approval. Such orders get 202.
_TO_BE_APPROVED: Final = frozenset({"PENDING APPROVAL", "PENDING INTERNAL PAYMENT APPROVAL"})
FUNDING_SOURCE, CAMPAIGN = "SOURCE1", "CAMPAIGN1"
#: What an order may be paid from: a source, or whichever has a method.
_SOURCES: Final = frozenset({FUNDING_SOURCE, "BALANCE", "INVOICE", "INVOICE_THEN_BALANCE"})
_CARD: Final = {
    "id": "SOURCE2",
    "method": "credit_card",
    "usage_permissions": [],
    "status": "failed",
    "meta": {"network": "visa", "last4": "1234"},
}


#: The event name of an order's status.
_EVENTS: Final = {"EXECUTED": "APPROVED", "CANCELED": "CANCELED", "FAILED": "FAILED"}


class Tremendous(Provider):
    """One organisation. ``becomes`` is the status of new orders. ``poor`` means that its funding source is empty,
    ``source_status`` whether it can be used."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.becomes = "EXECUTED"
        self.source_status = "active"
        self.orders: dict[str, dict[str, Any]] = {}
        self._sent: dict[str, str] = {}

    def books(self) -> dict[str, Any]:
        return {**super().books(), "orders": self.orders, "sent": self._sent}

    def restore(self, books: Mapping[str, Any]) -> None:
        super().restore(books)
        self.orders, self._sent = dict(books["orders"]), dict(books["sent"])

    def move(self, key: str, status: str) -> None:
        """Change the status of an order, and send the event."""
        order = self.orders[key]
        order["status"] = status
        if status in _EVENTS:
            self._told_of("orders", order["id"], f"ORDERS.{_EVENTS[status]}")

    def admits(self, request: Request) -> Response | None:
        return None if request.headers.get("authorization") == f"Bearer {KEY}" else self.error(401, request)

    def error(self, status: int, request: Request) -> Response:
        return _error(status)

    def act(self, request: Request) -> Response:
        match request.method, request.steps:
            case "POST", ("api", "v2", "orders"):
                return self._ordered(request.document)
            case "GET", ("api", "v2", "orders"):
                return self._page(request.query)
            case "GET", ("api", "v2", "orders", name):
                found = self._named(name)
                return Response(200, {"order": found}) if found else _error(404)
            case "GET", ("api", "v2", "funding_sources"):
                return Response(200, {"funding_sources": [self._source(), _CARD]})
            case "GET", ("api", "v2", "funding_sources", name):
                return Response(200, {"funding_source": self._source()}) if name == FUNDING_SOURCE else _error(404)
            case "POST", ("api", "v2", "rewards", name, "cancel"):
                return self._cancelled(name)
            case "POST", ("api", "v2", "rewards", name, "generate_link") if self._of_reward(name):
                return Response(200, {"reward": {"id": name, "link": _link(name)}})
        return _error(404)

    def _page(self, query: Mapping[str, str]) -> Response:
        since, until = (datetime.fromisoformat(query[f"created_at[{each}]"]) for each in ("gte", "lte"))
        found = [each for each in self.orders.values() if since <= datetime.fromisoformat(each["created_at"]) <= until]
        begin = int(query.get("offset", "0"))
        shown = found[::-1][begin : begin + int(query.get("limit", "10"))]
        return Response(200, {"orders": shown, "total_count": len(found)})

    def _source(self) -> dict[str, Any]:
        return {
            "id": FUNDING_SOURCE,
            "method": "balance",
            "usage_permissions": ["api_orders", "dashboard_orders"],
            "status": self.source_status,
            "meta": self.meta(),
        }

    def meta(self) -> Mapping[str, Any]:
        """The metadata of its funding source, which is a balance."""
        return {"available_cents": 0 if self.poor else _PLENTY, "pending_cents": 0, "currency_code": "USD"}

    def _named(self, name: str) -> dict[str, Any] | None:
        return self.orders.get(name) or next((o for o in self.orders.values() if o["id"] == name), None)

    def _ordered(self, sent: Mapping[str, Any]) -> Response:
        _demand(sent)
        key, what = sent["external_id"], repr(sent)
        if key in self.orders:
            return Response(201, _with_link(self.orders[key])) if self._sent[key] == what else _error(409)
        if self.poor:
            return _error(402)
        name, reward = f"ORDER{self.number()}", sent["reward"]
        made = {
            "id": name,
            "external_id": key,
            "status": self.becomes,
            "channel": "API",
            "created_at": self.clock.now.isoformat(),
            "rewards": [
                {
                    "id": f"REWARD{self.number()}",
                    "order_id": name,
                    "value": dict(reward["value"]),
                    "recipient": dict(reward["recipient"]),
                    "delivery": {**reward["delivery"], "status": "SUCCEEDED"},
                }
            ],
        }
        self.orders[key], self._sent[key] = made, what
        self._told_of("orders", name, "ORDERS.CREATED")
        return Response(202 if self.becomes in _TO_BE_APPROVED else 200, _with_link(made))

    def _cancelled(self, name: str) -> Response:
        order = self._of_reward(name)
        if order is None:
            return _error(404)
        late = self.clock.now - datetime.fromisoformat(order["created_at"]) >= _CANCELLABLE
        if order["status"] == "CANCELED" or order.get("redeemed") or late:
            return _error(422)
        order["status"] = "CANCELED"
        self._told_of("rewards", name, "REWARDS.CANCELED")
        return Response(200, {"reward": order["rewards"][0]})

    def _of_reward(self, name: str) -> dict[str, Any] | None:
        return next((o for o in self.orders.values() if o["rewards"][0]["id"] == name), None)

    def _told_of(self, kind: str, name: str, event: str) -> None:
        """https://developers.tremendous.com/docs/webhooks-1"""
        when = {"uuid": f"event-{self.number()}", "created_utc": self.clock.now.isoformat()}
        self.happened({"event": event, **when, "payload": {"resource": {"id": name, "type": kind}, "meta": {}}})


def _with_link(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order with the reward's link, as only the response to its placing shows it."""
    (reward,) = order["rewards"]
    return {
        "order": {**order, "rewards": [{**reward, "delivery": {**reward["delivery"], "link": _link(reward["id"])}}]}
    }


def _link(reward: str) -> str:
    return f"https://testflight.tremendous.com/rewards/payout/{hashlib.sha256(reward.encode()).hexdigest()[:24]}"


def _error(status: int) -> Response:
    return Response(status, {"errors": {"message": f"The sandbox answers {status}."}})


def _demand(sent: Mapping[str, Any]) -> None:
    """Refuse an order that does not have Tremendous's form."""
    reward = sent.get("reward")
    wrong = strictly(
        sent,
        {
            "payment": lambda value: not strictly(value, {"funding_source_id": _SOURCES.__contains__}, {}),
            "reward": lambda value: isinstance(value, Mapping),
            "external_id": text(255),
        },
        {},
    )
    wrong += strictly(
        reward,
        {
            "campaign_id": lambda value: value == CAMPAIGN,
            "value": _value,
            "recipient": lambda value: (
                not strictly(value, {"name": text(255)}, {"email": text(255), "phone": text(30)})
            ),
            "delivery": lambda value: value == {"method": "LINK"},
        },
        {},
    )
    if wrong:
        raise Refused(_error(422))


def _value(value: Any) -> bool:
    fields = {"denomination": lambda n: isinstance(n, int | Decimal) and not isinstance(n, bool) and n > 0}
    return not strictly(value, {**fields, "currency_code": text(3, 3)}, {})
