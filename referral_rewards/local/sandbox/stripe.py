"""The part of Stripe that pays rewards: transfers, customer balances, coupons and promotion codes.

https://docs.stripe.com/api/idempotent_requests: a key is kept for a day with the response to its first request, even a
500. A request that was never carried out (malformed, 409, 429) leaves no key. Forms: https://github.com/stripe/openapi.
"""

import operator
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from referral_rewards.local.sandbox.provider import Check, Clock, Provider, Refused, Request, Response, strictly, text

KEY: Final = "sk_test_of_the_sandbox"
WEBHOOK_SECRET: Final = "whsec_of_the_sandbox"  # noqa: S105 (it keeps nothing secret)
_KEPT: Final = timedelta(hours=24)
#: Stripe's names of the kinds of objects.
TRANSFER, REVERSAL, COUPON, CODE = "transfer", "transfer_reversal", "coupon", "promotion_code"
ENTRY: Final = "customer_balance_transaction"
#: Currencies with amounts in hundredths of which only whole units count:
#: https://docs.stripe.com/currencies#special-cases.
_HUNDREDS: Final = frozenset({"isk", "ugx"})
_CREATED: Final = {"created[gte]": operator.ge, "created[lt]": operator.lt}
_TENS: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
#: The account's balance in each currency.
_PLENTY: Final = 10**12
_CURRENCIES: Final = ("usd", "eur", "jpy", "kwd")


@dataclass(frozen=True, slots=True)
class _Kept:
    what: str
    response: Response
    at: datetime


class Stripe(Provider):
    """One account. ``customers`` and ``accounts`` are those that exist. ``poor`` means that its balance is empty."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.customers: Container[str] = {"cus_brie", "cus_dexter"}
        self.accounts: Container[str] = {"acct_brie", "acct_dexter"}
        #: Accounts that exist and take no transfers yet.
        self.not_ready: set[str] = set()
        self.objects: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, _Kept] = {}

    def books(self) -> dict[str, Any]:
        keys = {
            name: [kept.what, kept.response.status, kept.response.document, kept.at.isoformat()]
            for name, kept in self._keys.items()
        }
        return {**super().books(), "objects": self.objects, "keys": keys}

    def restore(self, books: Mapping[str, Any]) -> None:
        super().restore(books)
        self.objects = dict(books["objects"])
        self._keys = {
            name: _Kept(what, Response(status, document), datetime.fromisoformat(at))
            for name, (what, status, document, at) in books["keys"].items()
        }

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind, newest first."""
        return [each for each in reversed(self.objects.values()) if each["object"] == kind]

    def admits(self, request: Request) -> Response | None:
        return None if request.headers.get("authorization") == f"Bearer {KEY}" else self.error(401, request)

    def error(self, status: int, request: Request) -> Response:
        kinds = {
            401: ("invalid_request_error", "api_key_invalid"),
            403: ("invalid_request_error", "more_permissions_required"),
            409: ("idempotency_error", "idempotency_key_in_use"),
            429: ("invalid_request_error", "rate_limit"),
        }
        kind, code = kinds.get(status, ("api_error", None))
        return _error(status, kind, code)

    def failed(self, request: Request, response: Response) -> None:
        if (key := request.headers.get("idempotency-key")) and request.method == "POST":
            self._keys[key] = _Kept(_what(request), response, self.clock.now)

    def act(self, request: Request) -> Response:
        if "stripe-version" not in request.headers:
            return _error(400, "invalid_request_error", "stripe_version_missing")
        if request.method != "POST":
            return self._shown(request)
        key = request.headers.get("idempotency-key")
        if not key or len(key) > 255:
            return _error(400, "invalid_request_error", "idempotency_key_invalid")
        kept = self._keys.get(key)
        if kept is not None and self.clock.now - kept.at < _KEPT:
            if kept.what != _what(request):
                return _error(400, "idempotency_error", None)
            return Response(kept.response.status, kept.response.document, {"Idempotent-Replayed": "true"})
        try:
            response = self._made(request)
        except Refused as refused:
            response = refused.response
            if response.document["error"]["code"] in {"parameter_unknown", "parameter_invalid"}:
                return response  # It was not carried out, so no key is kept.
        self._keys[key] = _Kept(_what(request), response, self.clock.now)
        return response

    def _made(self, request: Request) -> Response:
        match request.steps:
            case ("v1", "transfers"):
                made = self._transfer(request.document)
            case ("v1", "transfers", name, "reversals"):
                made = self._reversal(name, request.document)
            case ("v1", "customers", customer, "balance_transactions"):
                made = self._entry(customer, request.document)
            case ("v1", "coupons"):
                made = self._coupon(request.document)
            case ("v1", "promotion_codes"):
                made = self._code(request.document)
            case ("v1", "promotion_codes", name):
                made = self._switched(name, request.document)
            case _:
                raise Refused(_error(404, "invalid_request_error", "url_unknown"))
        return Response(200, made)

    def _shown(self, request: Request) -> Response:
        match request.steps:
            case ("v1", "accounts", name):
                if name not in self.accounts:
                    raise Refused(_error(403, "invalid_request_error", "account_invalid"))
                able = {"transfers": "inactive" if name in self.not_ready else "active"}
                return Response(200, {"id": name, "object": "account", "capabilities": able})
            case ("v1", "balance"):
                held = [{"amount": 0 if self.poor else _PLENTY, "currency": each} for each in _CURRENCIES]
                shown = {"object": "balance", "livemode": False, "available": held, "pending": []}
                return Response(200, shown)
            case ("v1", "transfers"):
                return _page(request, self.of(TRANSFER), {"transfer_group": lambda each: each["transfer_group"]})
            case ("v1", "transfers", name, "reversals"):
                return _page(request, [each for each in self.of(REVERSAL) if each["transfer"] == name], {})
            case ("v1", "customers", customer, "balance_transactions"):
                self._known(customer in self.customers)
                return _page(request, self._entries(customer), {})
            case ("v1", "coupons" | "promotion_codes", name):
                self._known(name in self.objects)
                return Response(200, self.objects[name])
            case ("v1", "promotion_codes", name):
                self._known(name in self.objects)
                return Response(200, self.objects[name])
            case ("v1", "promotion_codes"):
                return self._expanded(
                    request, _page(request, self.of(CODE), {"coupon": lambda each: each["promotion"]["coupon"]})
                )
        raise Refused(_error(404, "invalid_request_error", "url_unknown"))

    def _expanded(self, request: Request, page: Response) -> Response:
        """Replace coupon ids by the coupons, if the request asks to expand them."""
        if request.query.get("expand[0]") != "data.promotion.coupon":
            return page
        codes = [
            {**code, "promotion": {**code["promotion"], "coupon": self.objects[code["promotion"]["coupon"]]}}
            for code in page.document["data"]
        ]
        return Response(200, {**page.document, "data": codes})

    def _transfer(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        _demand(
            sent,
            {"currency": _currency, "destination": text(255), "amount": _positive},
            {"transfer_group": text(255), "metadata": _metadata, "description": text(1000)},
        )
        _writable(sent["currency"], int(sent["amount"]))
        if sent["destination"] not in self.accounts:
            raise Refused(_error(400, "invalid_request_error", "account_invalid"))
        if self.poor:
            raise Refused(_error(400, "invalid_request_error", "balance_insufficient"))
        amount, none = int(sent["amount"]), {"object": "list", "data": [], "has_more": False, "url": "/v1/transfers"}
        rest = {"amount": amount, "amount_reversed": 0, "reversed": False, "reversals": none}
        return self._told_of("created", self._kept_as(TRANSFER, "tr", {"transfer_group": None, **sent, **rest}))

    def _reversal(self, name: str, sent: Mapping[str, Any]) -> dict[str, Any]:
        _demand(sent, {}, {"amount": _positive, "metadata": _metadata})
        self._known(name in self.objects)
        transfer = self.objects[name]
        amount = int(sent.get("amount", transfer["amount"]))
        if amount > transfer["amount"] - transfer["amount_reversed"]:
            raise Refused(_error(400, "invalid_request_error", "amount_too_large"))
        transfer["amount_reversed"] += amount
        transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
        self._told_of("reversed", transfer)
        rest = {"amount": amount, "transfer": name, "currency": transfer["currency"]}
        return self._kept_as(REVERSAL, "trr", {**sent, **rest})

    def _entry(self, customer: str, sent: Mapping[str, Any]) -> dict[str, Any]:
        _demand(sent, {"amount": _whole, "currency": _currency}, {"metadata": _metadata, "description": text(350)})
        _writable(sent["currency"], int(sent["amount"]))
        self._known(customer in self.customers)
        amount = int(sent["amount"])
        balance = sum(each["amount"] for each in self._entries(customer)) + amount
        rest = {"amount": amount, "customer": customer, "type": "adjustment", "ending_balance": balance}
        return self._kept_as(ENTRY, "cbtxn", {**sent, **rest})

    def _entries(self, customer: str) -> list[dict[str, Any]]:
        return [each for each in self.of(ENTRY) if each["customer"] == customer]

    def _coupon(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        _demand(
            sent,
            {"amount_off": _positive, "currency": _currency, "id": text(200)},
            {
                "duration": lambda value: value in {"once", "forever", "repeating"},
                "max_redemptions": _positive,
                "name": text(40),
                "metadata": _metadata,
            },
        )
        _writable(sent["currency"], int(sent["amount_off"]))
        if sent["id"] in self.objects:
            raise Refused(_error(400, "invalid_request_error", "resource_already_exists"))
        rest = {"amount_off": int(sent["amount_off"]), "max_redemptions": int(sent["max_redemptions"])}
        return self._kept_as(COUPON, "coupon", {**sent, **rest, "times_redeemed": 0, "valid": True})

    def _code(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        _demand(
            sent,
            {"promotion": lambda value: strictly(value, {"type": _coupon_type, "coupon": text(200)}, {}) == []},
            {"customer": text(255), "max_redemptions": _positive, "metadata": _metadata, "code": text(500)},
        )
        self._known(sent["promotion"]["coupon"] in self.objects)
        self._known(sent.get("customer") is None or sent["customer"] in self.customers)
        rest = {"active": True, "times_redeemed": 0, "max_redemptions": 1, "customer": sent.get("customer")}
        free = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
        made = self._kept_as(CODE, "promo", {**sent, **rest, "restrictions": free})
        made["code"] = made["id"].upper().replace("_", "-")
        return self._told_of("created", made)

    def _switched(self, name: str, sent: Mapping[str, Any]) -> dict[str, Any]:
        _demand(sent, {}, {"active": lambda value: value in {"true", "false"}, "metadata": _metadata})
        self._known(name in self.objects)
        self.objects[name]["active"] = sent.get("active", "true") == "true"
        return self._told_of("updated", self.objects[name])

    def _kept_as(self, kind: str, prefix: str, parts: Mapping[str, Any]) -> dict[str, Any]:
        name = parts.get("id") or f"{prefix}_{self.number()}"
        created = int(self.clock.now.timestamp())
        made = {"metadata": {}, "livemode": False, **parts, "id": name, "created": created, "object": kind}
        if kind == REVERSAL:
            del made["livemode"]  # Only a reversal lacks this field.
        self.objects[name] = made
        return made

    def _told_of(self, what: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Queue an event about an object and return the object: https://docs.stripe.com/api/events/object."""
        now = int(self.clock.now.timestamp())
        event = {"id": f"evt_{self.number()}", "object": "event", "type": f"{thing['object']}.{what}", "created": now}
        self.happened({**event, "livemode": False, "pending_webhooks": 1, "data": {"object": dict(thing)}})
        return thing

    @staticmethod
    def _known(is_there: bool) -> None:
        if not is_there:
            raise Refused(_error(404, "invalid_request_error", "resource_missing"))


def _error(status: int, kind: str, code: str | None) -> Response:
    said = {"type": kind, "code": code, "message": f"The sandbox answers {status}."}
    return Response(status, {"error": said}, {"Request-Id": "req_sandbox"})


def _page(
    request: Request, rows: list[dict[str, Any]], filters: Mapping[str, Callable[[dict[str, Any]], Any]]
) -> Response:
    query, url = request.query, "/" + "/".join(request.steps)
    known = {"limit": _positive, "starting_after": text(255), **dict.fromkeys(_CREATED, _positive)}
    asked = strictly(query, {}, {**known, "expand[0]": text(255), **dict.fromkeys(filters, text(255))})
    if asked:
        raise Refused(_error(400, "invalid_request_error", "parameter_unknown"))
    found = [row for row in rows if all(of(row) == query[name] for name, of in filters.items() if name in query)]
    found = [
        row for row in found if all(is_(row["created"], int(query[of])) for of, is_ in _CREATED.items() if of in query)
    ]
    names = [row["id"] for row in found]
    after = query.get("starting_after")
    if after is not None and after not in names:
        raise Refused(_error(400, "invalid_request_error", "resource_missing"))
    begin = names.index(after) + 1 if after is not None else 0
    end = begin + int(query.get("limit", "10"))
    return Response(200, {"object": "list", "url": url, "data": found[begin:end], "has_more": end < len(found)})


def _demand(sent: Mapping[str, Any], required: Mapping[str, Check], optional: Mapping[str, Check]) -> None:
    if wrong := strictly(sent, required, optional):
        known = {*required, *optional}
        code = "parameter_unknown" if any(name not in known for name in wrong) else "parameter_invalid"
        raise Refused(_error(400, "invalid_request_error", code))


def _writable(currency: str, amount: int) -> None:
    step = 100 if currency in _HUNDREDS else 10 if currency in _TENS else 1
    if amount % step:
        raise Refused(_error(400, "invalid_request_error", "parameter_invalid"))


def _what(request: Request) -> str:
    return repr((request.steps, sorted(request.document.items())))


def _whole(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip("-").isdecimal() and int(value) != 0


def _positive(value: Any) -> bool:
    return _whole(value) and int(value) > 0


def _currency(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.islower()


def _coupon_type(value: Any) -> bool:
    return isinstance(value, str) and value == "coupon"


def _metadata(value: Any) -> bool:
    return isinstance(value, Mapping) and all(text(40)(name) and text(500)(each) for name, each in value.items())
