"""The part of PayPal that pays: tokens, batches of payouts and their items.

Documented forms, and the refusal of a ``sender_batch_id`` used in the last thirty days, with its link:
https://github.com/paypal/paypal-rest-api-specifications (payments_payouts_batch_v1.json).
"""

import base64
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from referral_rewards.local.sandbox.provider import Clock, Provider, Refused, Request, Response, strictly, text

CLIENT_ID, SECRET = "an-app-of-the-sandbox", "a-secret-of-the-sandbox"
WEBHOOK_ID: Final = "WH-OF-THE-SANDBOX"
_KEPT: Final = timedelta(days=30)
_TOKEN_LASTS: Final = timedelta(hours=9)
_WHOLE: Final = frozenset({"HUF", "JPY", "TWD"})
#: The event name of an item's status, where it differs from the status.
_EVENTS: Final = {"SUCCESS": "SUCCEEDED", "ONHOLD": "HELD"}
_FRACTION: Final = re.compile(r"\d{1,10}(\.\d{2})?", re.ASCII)


class PayPal(Provider):
    """One app. ``becomes`` is the status of the items of new batches. ``poor`` means that its account can't pay, which
    it reports only after it has accepted an order; ``wrong`` is the word for why."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.becomes = "SUCCESS"
        self.wrong = "INSUFFICIENT_FUNDS"
        self.batches: dict[str, dict[str, Any]] = {}
        self._used: dict[str, tuple[str, datetime]] = {}
        self._tokens: dict[str, datetime] = {}

    def books(self) -> dict[str, Any]:
        used = {key: [name, at.isoformat()] for key, (name, at) in self._used.items()}
        return {**super().books(), "batches": self.batches, "used": used}

    def restore(self, books: Mapping[str, Any]) -> None:
        super().restore(books)
        self.batches = dict(books["batches"])
        self._used = {key: (name, datetime.fromisoformat(at)) for key, (name, at) in books["used"].items()}

    def move(self, name: str, status: str) -> None:
        """Change the status of a batch's item, and send the event."""
        (item,) = self.batches[name]["items"]
        item["transaction_status"] = status
        kind = f"PAYMENT.PAYOUTS-ITEM.{_EVENTS.get(status, status)}"
        event = {"id": f"WH-{self.number()}", "event_version": "1.0", "create_time": self.clock.now.isoformat()}
        self.happened({**event, "resource_type": "payouts_item", "event_type": kind, "resource": dict(item)})

    def forget_tokens(self) -> None:
        """Reject all tokens issued so far."""
        self._tokens.clear()

    def scripted(self, request: Request) -> bool:
        return request.steps[:2] != ("v1", "oauth2")

    def admits(self, request: Request) -> Response | None:
        authorization = request.headers.get("authorization", "")
        if request.steps == ("v1", "oauth2", "token"):
            login = base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()
            return None if authorization == f"Basic {login}" else Response(401, {"error": "invalid_client"})
        until = self._tokens.get(authorization.removeprefix("Bearer "))
        return None if until is not None and self.clock.now < until else self.error(401, request)

    def error(self, status: int, request: Request) -> Response:
        names = {
            401: "AUTHENTICATION_FAILURE",
            403: "NOT_AUTHORIZED",
            404: "RESOURCE_NOT_FOUND",
            409: "RESOURCE_CONFLICT",
            429: "RATE_LIMIT_REACHED",
        }
        return _error(status, names.get(status, "INTERNAL_SERVER_ERROR"))

    def act(self, request: Request) -> Response:
        match request.method, request.steps:
            case "POST", ("v1", "oauth2", "token"):
                return self._token(request)
            case "POST", ("v1", "payments", "payouts"):
                return self._paid(request)
            case "GET", ("v1", "payments", "payouts", name):
                return Response(200, self.batches[name]) if name in self.batches else self.error(404, request)
            case "POST", ("v1", "payments", "payouts-item", name, "cancel") if not request.has_body:
                return self._cancelled(name, request)
            case "POST", ("v1", "payments", "payouts-item", _, "cancel"):
                return _error(400, "VALIDATION_ERROR")
        return self.error(404, request)

    def _token(self, request: Request) -> Response:
        if dict(request.document) != {"grant_type": "client_credentials"}:
            return Response(400, {"error": "unsupported_grant_type"})
        token = f"token-{self.number()}"
        self._tokens[token] = self.clock.now + _TOKEN_LASTS
        lasts = int(_TOKEN_LASTS.total_seconds())
        return Response(200, {"access_token": token, "token_type": "Bearer", "expires_in": lasts})

    def _paid(self, request: Request) -> Response:
        header, item = _order(request.document)
        key = header["sender_batch_id"]
        used = self._used.get(key)
        if used is not None and self.clock.now - used[1] < _KEPT:
            link = {"href": f"https://api-m.paypal.com/v1/payments/payouts/{used[0]}", "rel": "self", "method": "GET"}
            said = {"field": "SENDER_BATCH_ID", "location": "body", "issue": "Batch already exists"}
            return _error(400, "USER_BUSINESS_ERROR", details=[said], links=[link])
        name = f"BATCH{self.number()}"
        self._used[key] = name, self.clock.now
        becomes = "FAILED" if self.poor else self.becomes
        self.batches[name] = {
            "batch_header": {
                "payout_batch_id": name,
                "batch_status": "DENIED" if self.poor else "SUCCESS",
                "sender_batch_header": dict(header),
                "amount": item["amount"],
            },
            "items": [
                {
                    "payout_item_id": f"ITEM{self.number()}",
                    "transaction_status": becomes,
                    "payout_item": {**item, "amount": dict(item["amount"])},
                    "payout_batch_id": name,
                    **({"errors": _wrong(self.wrong)} if self.poor else {}),
                }
            ],
        }
        if becomes != "PENDING":
            self.move(name, becomes)
        pending = {"payout_batch_id": name, "batch_status": "PENDING", "sender_batch_header": dict(header)}
        return Response(201, {"batch_header": pending})

    def _cancelled(self, name: str, request: Request) -> Response:
        items = [item for batch in self.batches.values() for item in batch["items"] if item["payout_item_id"] == name]
        if not items:
            return self.error(404, request)
        if (status := items[0]["transaction_status"]) != "UNCLAIMED":
            return _error(400, "ITEM_ALREADY_CANCELLED" if status == "RETURNED" else "ITEM_INCORRECT_STATUS")
        self.move(items[0]["payout_batch_id"], "RETURNED")
        return Response(200, items[0])


def _error(status: int, name: str, **further: Any) -> Response:
    return Response(status, {**_wrong(name, f"The sandbox answers {status}."), **further})


def _wrong(name: str, message: str = "The sandbox did not pay it.") -> dict[str, Any]:
    return {"name": name, "message": message, "debug_id": "s1"}


def _order(sent: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the header and the only item of a batch; refuse a document that does not have PayPal's form."""
    header = sent.get("sender_batch_header")
    items = sent.get("items")
    wrong = strictly(sent, {"sender_batch_header": _anything, "items": _anything}, {})
    wrong += strictly(header, {"sender_batch_id": text(256)}, {"email_subject": text(255), "note": text(1000)})
    if not isinstance(items, list) or len(items) != 1:
        wrong.append("items")
    for item in items if isinstance(items, list) else []:
        wrong += strictly(
            item,
            {"amount": _amount, "receiver": text(127), "recipient_type": lambda value: value == "PAYPAL_ID"},
            {"sender_item_id": text(63), "note": text(4000), "purpose": text(40)},
        )
    if wrong:
        details = [{"field": name, "issue": "INVALID"} for name in wrong]
        raise Refused(_error(400, "VALIDATION_ERROR", details=details))
    assert isinstance(header, Mapping)
    assert isinstance(items, list)
    return header, items[0]


def _amount(value: Any) -> bool:
    if strictly(value, {"currency": text(3, 3), "value": text(13)}, {}):
        return False
    written, currency = value["value"], value["currency"]
    whole = "." not in written
    return bool(_FRACTION.fullmatch(written)) and Decimal(written) > 0 and whole == (currency in _WHOLE)


def _anything(value: Any) -> bool:
    return value is not None
