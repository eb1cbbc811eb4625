"""Tremendous, as far as gift cards go: orders of one reward, and the cancelling of it.

https://developers.tremendous.com/reference/create-order: the first order under an ``external_id`` is answered 200, the
same again 201 with the original, another under it 409.
"""

from collections.abc import Mapping
from decimal import Decimal
from itertools import count
from typing import Any, Final

from referral_rewards.rails.sandbox.provider import Provider, Refused, Request, Response, strictly, text

KEY: Final = "TEST_of_the_sandbox"
FUNDING_SOURCE, CAMPAIGN = "SOURCE1", "CAMPAIGN1"


class Tremendous(Provider):
    """One organisation. ``becomes`` is what new orders stand at; ``poor`` means that its source is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.becomes = "EXECUTED"
        self.poor = False
        self.orders: dict[str, dict[str, Any]] = {}
        self._sent: dict[str, str] = {}
        self._numbers = count(1)

    def admits(self, request: Request) -> Response | None:
        return None if request.headers.get("authorization") == f"Bearer {KEY}" else self.error(401, request)

    def error(self, status: int, request: Request) -> Response:
        return _error(status)

    def act(self, request: Request) -> Response:
        match request.method, request.steps:
            case "POST", ("api", "v2", "orders"):
                return self._ordered(request.document)
            case "GET", ("api", "v2", "orders", name):
                found = self._named(name)
                return Response(200, {"order": found}) if found else _error(404)
            case "POST", ("api", "v2", "rewards", name, "cancel"):
                return self._cancelled(name)
        return _error(404)

    def _named(self, name: str) -> dict[str, Any] | None:
        return self.orders.get(name) or next((o for o in self.orders.values() if o["id"] == name), None)

    def _ordered(self, sent: Mapping[str, Any]) -> Response:
        _demand(sent)
        key, what = sent["external_id"], repr(sent)
        if key in self.orders:
            return Response(201, {"order": self.orders[key]}) if self._sent[key] == what else _error(409)
        if self.poor:
            return _error(402)
        name, reward = f"ORDER{next(self._numbers)}", sent["reward"]
        made = {
            "id": name,
            "external_id": key,
            "status": self.becomes,
            "channel": "API",
            "created_at": self.clock.now.isoformat(),
            "rewards": [
                {
                    "id": f"REWARD{next(self._numbers)}",
                    "order_id": name,
                    "value": dict(reward["value"]),
                    "recipient": dict(reward["recipient"]),
                    "delivery": {**reward["delivery"], "status": "SUCCEEDED"},
                }
            ],
        }
        self.orders[key], self._sent[key] = made, what
        return Response(200, {"order": made})

    def _cancelled(self, name: str) -> Response:
        order = next((o for o in self.orders.values() if o["rewards"][0]["id"] == name), None)
        if order is None:
            return _error(404)
        if order["status"] == "CANCELED" or order.get("redeemed"):
            return _error(422)
        order["status"] = "CANCELED"
        return Response(200, {"reward": order["rewards"][0]})


def _error(status: int) -> Response:
    return Response(status, {"errors": {"message": f"The sandbox answers {status}."}})


def _demand(sent: Mapping[str, Any]) -> None:
    """Refuses an order that is not of Tremendous' form."""
    reward = sent.get("reward")
    wrong = strictly(
        sent,
        {
            "payment": lambda value: value == {"funding_source_id": FUNDING_SOURCE},
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
