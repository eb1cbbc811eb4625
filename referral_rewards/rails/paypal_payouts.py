"""Cash to a PayPal account: https://developer.paypal.com/docs/api/payments.payouts-batch/v1/.

One payout is a batch of one item. PayPal has no look-up by our ids. It refuses a ``sender_batch_id`` used in the last
thirty days and links to that batch, so sending the same request again looks the payout up and pays it if necessary.
"""

import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from referral_rewards.domain.books.reconciliation import ListedPage
from referral_rewards.domain.payouts.rail_amounts import NotPayable, as_decimal, minor_of_decimal
from referral_rewards.domain.payouts.rail_catalogue import PAYPAL_PAYOUTS
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    Reversed,
    Unfunded,
    Unknown,
)
from referral_rewards.rails.access import PayPalAccess
from referral_rewards.rails.asking import (
    PATIENCE_SECONDS,
    Failure,
    NoReply,
    Reply,
    exchange,
    for_want_of_funds,
    read,
    seen,
    trouble,
    unread,
)

NAME: Final = PAYPAL_PAYOUTS.name
_ACCOUNT: Final = re.compile(r"[A-Z0-9]{10,32}", re.ASCII)
_BATCH: Final = re.compile(r"/v1/payments/payouts/([A-Za-z0-9-]{1,100})", re.ASCII)
_UNDER_WAY: Final = frozenset({"PENDING", "PROCESSING", "UNCLAIMED", "ONHOLD"})
_FAILED: Final = frozenset({"FAILED", "BLOCKED", "DENIED", "CANCELED", "RETURNED", "REFUNDED", "REVERSED"})
_NO_FUNDS: Final = "INSUFFICIENT_FUNDS"
#: A token is renewed this long before it expires.
_EARLY_SECONDS: Final = 60.0

_GIVEN_BACK: Final = frozenset({"RETURNED", "REFUNDED", "REVERSED"})


class PayPalPayouts:
    """One batch per payout, to the PayPal account that the payee named."""

    facts: Final = PAYPAL_PAYOUTS

    def __init__(
        self, access: PayPalAccess, client: httpx.AsyncClient, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._access = access
        self._url = access.url.rstrip("/")
        self._client = client
        self._patience_seconds = patience_seconds
        self._token: tuple[str, float] | None = None

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        if not _ACCOUNT.fullmatch(request.destination or ""):
            return Declined("the payee has named no PayPal account id")
        try:
            value = str(as_decimal(NAME, request.amount_minor, request.currency))
        except NotPayable as error:
            return Declined(str(error))
        item = {
            "recipient_type": "PAYPAL_ID",
            "amount": {"value": value, "currency": request.currency},
            "receiver": request.destination,
            "sender_item_id": str(request.payout_id),
        }
        order = {"sender_batch_header": {"sender_batch_id": key}, "items": [item]}
        reply = await self._call("POST", "/v1/payments/payouts", order, key)
        if isinstance(reply, Failure):
            return reply
        if reply.status == 201:
            batch = seen(lambda: str(reply.body["batch_header"]["payout_batch_id"]))
        elif (earlier := _duplicate(reply)) is not None:
            batch = earlier
        else:
            if _known(reply):
                return Unknown("it knows our key already")
            return for_want_of_funds(trouble(reply.status, _name(reply)), _NO_FUNDS)
        if isinstance(batch, Unknown):
            return batch
        answer = await self.poll(request, key, batch)
        if isinstance(answer, Paid | Accepted | Declined | Unfunded) or reply.status != 201:
            return answer
        # PayPal gave only the batch id so far. The batch holds what we have just sent.
        order_taken = Paid(batch, request.amount_minor, request.currency, request.destination)
        return Accepted(order_taken, "PayPal took the order")

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        return Unknown("PayPal tells of a payment by its own reference only")

    async def funded(self, request: PaymentRequest) -> bool | None:
        return None

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        found = await self._batch(reference)
        return found if isinstance(found, Failure) else seen(lambda: _answer(request, key, reference, found))

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        found = await self._batch(paid.reference)
        if isinstance(found, Failure):
            return found
        item = seen(lambda: found["items"][0])
        if isinstance(item, Unknown):
            return item
        return None if item.get("transaction_status") == "UNCLAIMED" else seen(lambda: _given_back(request, item))

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Cancel an unclaimed item, in full only. No key is needed: it can be cancelled only once."""
        if amount_minor != request.amount_minor:
            return Declined("PayPal gives back an unclaimed payout whole or not at all")
        found = await self._batch(paid.reference)
        if isinstance(found, Failure):
            return found
        item = seen(lambda: (found["items"][0], str(found["items"][0]["payout_item_id"])))
        if isinstance(item, Unknown):
            return item
        shown, name = item
        if shown.get("transaction_status") == "UNCLAIMED":
            reply = await self._call("POST", f"/v1/payments/payouts-item/{quote(name, safe='')}/cancel", {}, key)
            if isinstance(reply, Failure):
                return reply
            if reply.status != 200:
                return trouble(reply.status, _name(reply))
            shown = {**reply.body, "payout_item_id": name}
        return seen(lambda: _given_back(request, shown))

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """Return an empty page: PayPal shows a batch only by its reference (`poll`)."""
        return ListedPage(())

    async def _batch(self, reference: str) -> Mapping[str, Any] | Failure:
        reply = await self._call("GET", f"/v1/payments/payouts/{quote(reference, safe='')}")
        if isinstance(reply, Failure):
            return reply
        return reply.body if reply.status == 200 else unread(reply.status, _name(reply))

    async def _call(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Reply | Unknown | Misconfigured:
        """Send one request. A second one follows only if PayPal rejected the token, and so did nothing."""
        for fresh in (False, True):
            token = await self._signed_in(anew=fresh)
            if not isinstance(token, str):
                return token
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            if key is not None:
                headers["PayPal-Request-Id"] = key
            content = json.dumps(document) if document is not None else None
            try:
                status, body, _ = await exchange(
                    self._client, method, self._url + path, headers=headers, content=content,
                    patience_seconds=self._patience_seconds,
                )  # fmt: skip
                if status != 401 or fresh:
                    return read(status, body)
            except NoReply as error:
                return Unknown(str(error))
        raise AssertionError("the second call returns")

    async def _signed_in(self, *, anew: bool) -> str | Unknown | Misconfigured:
        """Return an OAuth 2.0 client credentials token: https://developer.paypal.com/api/rest/authentication/."""
        if self._token is not None and not anew and time.monotonic() < self._token[1]:
            return self._token[0]
        self._token = None
        login = httpx.BasicAuth(self._access.client_id, self._access.client_secret)
        signed = next(login.auth_flow(httpx.Request("POST", self._url)))
        headers = {
            "Authorization": signed.headers["Authorization"],
            "Content-Type": "application/x-www-form-urlencoded",
        }
        try:
            status, body, _ = await exchange(
                self._client, "POST", f"{self._url}/v1/oauth2/token", headers=headers,
                content="grant_type=client_credentials", patience_seconds=self._patience_seconds,
            )  # fmt: skip
            reply = read(status, body)
        except NoReply as error:
            return Unknown(str(error))
        if reply.status != 200:
            code = reply.body.get("error")
            said = unread(reply.status, code)
            return Misconfigured(said.why) if reply.status == 400 and isinstance(code, str) else said
        token = seen(lambda: (str(reply.body["access_token"]), float(reply.body["expires_in"])))
        if isinstance(token, Unknown):
            return token
        self._token = (token[0], time.monotonic() + token[1] - _EARLY_SECONDS)
        return token[0]


def _duplicate(reply: Reply) -> str | None:
    """Return the id of the batch that a refusal links to because our key was used before. The link is never
    followed."""
    links = reply.body.get("links")
    if not 400 <= reply.status < 500 or reply.status in (401, 403) or not isinstance(links, list):
        return None
    paths = [urlsplit(str(link.get("href", ""))).path for link in links if isinstance(link, Mapping)]
    return next((match[1] for path in paths if (match := _BATCH.fullmatch(path))), None)


def _known(reply: Reply) -> bool:
    """Whether a refusal may only mean that our key was used before. Then it does not say that nothing was paid."""
    return reply.body.get("name") == "USER_BUSINESS_ERROR" or "sender_batch_id" in str(reply.body).lower()


def _name(reply: Reply) -> object:
    """Return PayPal's name of the error."""
    return reply.body.get("name")


def _answer(request: PaymentRequest, key: str, reference: str, found: Mapping[str, Any]) -> Answer:
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
    if name == _NO_FUNDS:
        return Unfunded(f"PayPal did not pay it ({name})")
    return Declined(f"PayPal did not pay it ({name if isinstance(name, str) and name else status})")


def _order(
    request: PaymentRequest, reference: str, amount: Mapping[str, Any], receiver: str | None, *, ours: bool
) -> Paid:
    currency = str(amount["currency"])
    amount_minor = minor_of_decimal(Decimal(str(amount["value"])), currency) if ours else None
    return Paid(reference, amount_minor, currency, receiver)


def _given_back(request: PaymentRequest, item: Mapping[str, Any]) -> Reversed | Declined | Unknown:
    """Return the outcome of a reversal, as the item shows it."""
    status = item["transaction_status"]
    if status in _GIVEN_BACK:
        return Reversed(str(item["payout_item_id"]), request.amount_minor, request.currency)
    kept = status == "SUCCESS" or status in _FAILED
    return Declined(f"PayPal does not give it back ({status})") if kept else Unknown(f"it is {status}")
