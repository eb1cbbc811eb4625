"""Cash to a PayPal account: https://developer.paypal.com/docs/api/payments.payouts-batch/v1/.

One payout is a batch of one item. PayPal has no look-up by our ids. It refuses a ``sender_batch_id`` used in the last
thirty days and links to that batch, so sending the same request again looks the payout up and pays it if necessary.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from referral_rewards.domain.books.reconciliation import ListedPage
from referral_rewards.domain.payouts.rail_amounts import as_decimal
from referral_rewards.domain.payouts.rail_catalogue import PAYPAL_PAYOUTS
from referral_rewards.domain.payouts.rail_objections import objection
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    TakenBack,
    Unfunded,
    Unknown,
)
from referral_rewards.domain.payouts.taking_back import NotTold, whole_or_nothing
from referral_rewards.rails import paypal_batches as batches
from referral_rewards.rails.access import PayPalAccess
from referral_rewards.rails.asking import (
    PATIENCE_SECONDS,
    Failure,
    NoReply,
    Reply,
    exchange,
    read,
    seen,
    trouble,
    unread,
)

NAME: Final = PAYPAL_PAYOUTS.name
_BATCH: Final = re.compile(r"/v1/payments/payouts/([A-Za-z0-9-]{1,100})", re.ASCII)
#: A token is renewed this long before it expires.
_EARLY_SECONDS: Final = 60.0


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
        if (objects := objection(NAME, request)) is not None:
            return Declined(objects.why)
        value = str(as_decimal(NAME, request.amount_minor, request.currency))
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
            return batches.not_taken(reply)
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
        return found if isinstance(found, Failure) else seen(lambda: batches.answer(request, key, reference, found))

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        item = await self._item(paid.reference)
        if not isinstance(item, Mapping):
            return item
        if item.get("transaction_status") == "UNCLAIMED":
            return None
        return seen(lambda: batches.given_back(request, item))

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Cancel an unclaimed item, in full only. No key is needed: it can be cancelled only once."""
        if amount_minor != request.amount_minor:
            return Declined("PayPal gives back an unclaimed payout whole or not at all")
        shown = await self._item(paid.reference)
        if not isinstance(shown, Mapping):
            return shown
        if shown.get("transaction_status") == "UNCLAIMED":
            name = str(shown["payout_item_id"])
            reply = await self._call("POST", f"/v1/payments/payouts-item/{quote(name, safe='')}/cancel")
            if isinstance(reply, Failure):
                return reply
            if reply.status != 200:
                return await self._not_cancelled(request, paid, trouble(reply.status, batches.name(reply)))
            shown = {**reply.body, "payout_item_id": name}
        return seen(lambda: batches.given_back(request, shown))

    async def _not_cancelled(self, request: PaymentRequest, paid: Paid, refused: Failure) -> ReversalAnswer:
        """Return what became of an item that was not cancelled now: it may have been before (ITEM_ALREADY_CANCELLED),
        or claimed meanwhile."""
        if not isinstance(refused, Declined):
            return refused
        again = await self._item(paid.reference)
        if not isinstance(again, Mapping):
            return again
        unclaimed = again.get("transaction_status") == "UNCLAIMED"
        return refused if unclaimed else seen(lambda: batches.given_back(request, again))

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack] | NotTold:
        """Return the item, if it was given back, or nothing."""
        return whole_or_nothing(await self.look_up_reversal(request, paid, request.amount_minor, ""))

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """Return an empty page: PayPal shows a batch only by its reference (`poll`)."""
        return ListedPage(())

    async def _batch(self, reference: str) -> Mapping[str, Any] | Failure:
        reply = await self._call("GET", f"/v1/payments/payouts/{quote(reference, safe='')}")
        if isinstance(reply, Failure):
            return reply
        return reply.body if reply.status == 200 else unread(reply.status, batches.name(reply))

    async def _item(self, reference: str) -> Mapping[str, Any] | Failure:
        """Return the only item of a batch, with its id."""
        found = await self._batch(reference)
        if isinstance(found, Failure):
            return found
        item: Mapping[str, Any] | Unknown = seen(
            lambda: {**found["items"][0], "payout_item_id": str(found["items"][0]["payout_item_id"])}
        )
        return item

    async def _call(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Reply | Unknown | Misconfigured:
        """Send one request. A second one follows only if PayPal rejected the token, and so did nothing."""
        for fresh in (False, True):
            token = await self._signed_in(anew=fresh)
            if not isinstance(token, str):
                return token
            headers = {"Authorization": f"Bearer {token}"}
            content = None
            if document is not None:
                headers["Content-Type"] = "application/json"
                content = json.dumps(document)
            if key is not None:
                headers["PayPal-Request-Id"] = key
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
