"""Gift cards by Tremendous: https://developers.tremendous.com/reference/create-order.

The card is delivered as a link that we give to the payee ourselves, so no personal data goes to the provider. Our payee
id takes the place of the recipient's name.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from referral_rewards.domain.books.reconciliation import ListedPage
from referral_rewards.domain.payouts.rail_amounts import as_decimal
from referral_rewards.domain.payouts.rail_catalogue import TREMENDOUS
from referral_rewards.domain.payouts.rail_objections import objection
from referral_rewards.domain.payouts.states import (
    Answer,
    Declined,
    Handed,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    Reversed,
    TakenBack,
    Unfunded,
    Unknown,
)
from referral_rewards.domain.payouts.taking_back import NotTold, whole_or_nothing
from referral_rewards.rails import tremendous_orders as orders
from referral_rewards.rails.access import TremendousAccess
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
from referral_rewards.rails.listing import payments

NAME: Final = TREMENDOUS.name
#: Placed now; placed before under our key; placed and waiting for approval at Tremendous.
_TAKEN: Final = frozenset({200, 201, 202})
_PAYMENT_REQUIRED: Final = 402
#: Names that stand for whichever source has a method, and the method; None: either of two, and nobody knows which.
#: https://developers.tremendous.com/reference/create-order. They have no page of their own.
_OF_A_METHOD: Final[Mapping[str, str | None]] = {
    "BALANCE": "balance",
    "INVOICE": "invoice",
    "INVOICE_THEN_BALANCE": None,
}
_PAGE: Final = 100
#: A placeholder for the amount in the document, so that the amount never becomes a float on its way into JSON.
_AMOUNT: Final = "\x00amount\x00"


class Tremendous:
    """One order with one reward per payout. ``external_id`` is our key and does not expire."""

    facts: Final = TREMENDOUS

    def __init__(
        self, access: TremendousAccess, client: httpx.AsyncClient, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._access = access
        self._url = f"{access.url.rstrip('/')}/api/v2"
        self._client = client
        self._patience_seconds = patience_seconds

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        if (found := objection(NAME, request)) is not None:
            return Declined(found.why)
        amount = as_decimal(NAME, request.amount_minor, request.currency)
        order = {
            "external_id": key,
            "payment": {"funding_source_id": self._access.funding_source},
            "reward": {
                "campaign_id": self._access.campaign,
                "value": {"denomination": _AMOUNT, "currency_code": request.currency},
                "recipient": {"name": request.payee},
                "delivery": {"method": "LINK"},
            },
        }
        content = json.dumps(order).replace(json.dumps(_AMOUNT), str(amount))
        reply = await self._call("POST", "/orders", content)
        if isinstance(reply, Unknown):
            return reply
        if reply.status in _TAKEN:
            return seen(lambda: orders.answer(request, key, reply.body["order"]))
        if reply.status == 409:
            return await self.look_up(request, key) or Unknown("it answered 409 and shows no order under our key")
        if reply.status == _PAYMENT_REQUIRED and _code(reply) is not None:
            return Unfunded("its funding source does not hold enough (402)")
        return trouble(reply.status, _code(reply))

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        return await self._find(request, key, key)

    async def funded(self, request: PaymentRequest) -> bool | None:
        """Compare with the balance, which is in the organisation's currency; None for another one: its rate is unknown.

        https://developers.tremendous.com/reference/get-funding-source
        """
        name = self._access.funding_source
        if name in _OF_A_METHOD:
            if (method := _OF_A_METHOD[name]) is None:
                return None
            found = await self._sources_of(method)
            if not found or len(found) > 1:
                return None if found else False
            (name,) = found
        reply = await self._call("GET", f"/funding_sources/{quote(name, safe='')}")
        if isinstance(reply, Unknown) or reply.status != 200:
            return False
        held = seen(lambda: orders.held(reply.body["funding_source"], request.currency))
        if held is None:
            return None
        needed = as_decimal(NAME, request.amount_minor, request.currency) * 100
        return isinstance(held, int) and held >= needed

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        return await self._find(request, key, reference) or Unknown("Tremendous does not show it any more")

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        order = await self._order(paid.reference)
        if order is None or isinstance(order, Failure):
            return order or Unknown("Tremendous does not show it any more")
        return seen(lambda: orders.cancelled(request, order))

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Cancel the card, in full only. No key is needed: it can be cancelled only once.

        Tremendous decides: its API reference allows it if delivery failed, its help page if not redeemed within a week
        (https://developers.tremendous.com/reference/cancel-reward, https://help.tremendous.com/en/articles/canceling-rewards).
        """
        if amount_minor != request.amount_minor:
            return Declined("Tremendous takes a reward back whole or not at all")
        order = await self._order(paid.reference)
        if order is None or isinstance(order, Failure):
            return order or Unknown("Tremendous does not show it any more")
        if done := seen(lambda: orders.cancelled(request, order)):
            return done
        reward = seen(lambda: str(order["rewards"][0]["id"]))
        if isinstance(reward, Unknown):
            return reward
        reply = await self._call("POST", f"/rewards/{quote(reward, safe='')}/cancel")
        if isinstance(reply, Unknown):
            return reply
        if reply.status != 200:
            return trouble(reply.status, _code(reply))
        return Reversed(reward, request.amount_minor, request.currency)

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack] | NotTold:
        """Return the card, if it was cancelled or refunded whole, or nothing."""
        return whole_or_nothing(await self.look_up_reversal(request, paid, request.amount_minor, ""))

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """List orders up to a fixed end: new orders appear at the beginning of the list and would shift the pages."""
        offset = int(after or 0)
        span = {"created_at[gte]": since.isoformat(), "created_at[lte]": until.isoformat()}
        reply = await self._call("GET", f"/orders?{urlencode({**span, 'limit': _PAGE, 'offset': offset})}")
        if isinstance(reply, Unknown):
            return reply
        if reply.status != 200:
            return unread(reply.status, _code(reply))
        rows = seen(lambda: list(reply.body["orders"]))
        if isinstance(rows, Unknown):
            return rows
        within = [each for each in payments(rows, orders.listed, orders.named) if each.at is None or each.at < until]
        return ListedPage(within, str(offset + _PAGE) if len(rows) >= _PAGE else None)

    async def handover(self, request: PaymentRequest, paid: Paid) -> Handed | Unknown | Misconfigured:
        """Return a new link to the card. Only the response to the order shows the first link."""
        order = await self._order(paid.reference)
        if order is None or isinstance(order, Failure):
            return order if isinstance(order, Unknown | Misconfigured) else Unknown("it does not show the order")
        reward = seen(lambda: str(order["rewards"][0]["id"]))
        if isinstance(reward, Unknown):
            return reward
        reply = await self._call("POST", f"/rewards/{quote(reward, safe='')}/generate_link")
        if isinstance(reply, Unknown):
            return reply
        if reply.status != 200:
            return unread(reply.status, _code(reply))
        return seen(lambda: Handed("link", orders.web_address(reply.body["reward"]["link"]), reward))

    async def _find(self, request: PaymentRequest, key: str, name: str) -> Answer | None:
        order = await self._order(name)
        if order is None or isinstance(order, Failure):
            return order
        return seen(lambda: orders.answer(request, key, order))

    async def _sources_of(self, method: str) -> list[str]:
        """Return the ids of our sources of a method; none if Tremendous does not say."""
        reply = await self._call("GET", "/funding_sources")
        if isinstance(reply, Unknown) or reply.status != 200:
            return []
        found = seen(lambda: [str(each["id"]) for each in reply.body["funding_sources"] if each["method"] == method])
        return found if isinstance(found, list) else []

    async def _order(self, name: str) -> Mapping[str, Any] | Failure | None:
        """Return an order by its id or by our key; None if Tremendous says that there is none."""
        reply = await self._call("GET", f"/orders/{quote(name, safe='')}")
        if isinstance(reply, Unknown):
            return reply
        if reply.status == 200:
            order: Mapping[str, Any] | Unknown = seen(lambda: {**reply.body["order"]})
            return order
        return None if reply.status == 404 and _code(reply) is not None else unread(reply.status, _code(reply))

    async def _call(self, method: str, path: str, content: str | None = None) -> Reply | Unknown:
        headers = {"Authorization": f"Bearer {self._access.key}", "Content-Type": "application/json"}
        try:
            status, body, _ = await exchange(
                self._client, method, self._url + path, headers=headers, content=content,
                patience_seconds=self._patience_seconds,
            )  # fmt: skip
            return read(status, body)
        except NoReply as error:
            return Unknown(str(error))


def _code(reply: Reply) -> str | None:
    """Return a code for a refusal, or None if it does not have Tremendous's form: it has messages but no codes."""
    return "refused" if isinstance(reply.body.get("errors"), dict) else None
