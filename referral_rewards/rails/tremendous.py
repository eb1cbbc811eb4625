"""Gift cards by Tremendous: https://developers.tremendous.com/reference/create-order.

The card is delivered as a link that we give to the payee ourselves, so no personal data goes to the provider. Our payee
id takes the place of the recipient's name.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from referral_rewards.domain.books.reconciliation import Listed, ListedPage, ListedState, payout_of
from referral_rewards.domain.payouts.rail_amounts import NotPayable, as_decimal, minor_of_decimal
from referral_rewards.domain.payouts.rail_catalogue import TREMENDOUS
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Handed,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    Reversed,
    Unfunded,
    Unknown,
)
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

NAME: Final = TREMENDOUS.name
#: Placed now; placed before under our key; placed and waiting for approval at Tremendous.
_TAKEN: Final = frozenset({200, 201, 202})
_PAYMENT_REQUIRED: Final = 402
_EXECUTED: Final = "EXECUTED"
_UNDER_WAY: Final = frozenset(
    {"CART", "OPEN", "PENDING APPROVAL", "PENDING INTERNAL PAYMENT APPROVAL", "PENDING SETTLEMENT"}
)
_FAILED: Final = frozenset({"FAILED", "CANCELED"})
_PAGE: Final = 100
_LINK: Final = re.compile(r"https://[!-~]{1,2000}", re.ASCII)
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
        try:
            amount = as_decimal(NAME, request.amount_minor, request.currency)
        except NotPayable as error:
            return Declined(str(error))
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
            return seen(lambda: _answer(request, key, reply.body["order"]))
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
        needed = as_decimal(NAME, request.amount_minor, request.currency) * 100
        reply = await self._call("GET", f"/funding_sources/{quote(self._access.funding_source, safe='')}")
        if isinstance(reply, Unknown) or reply.status != 200:
            return False
        meta = seen(lambda: {**reply.body["funding_source"]["meta"]})
        if isinstance(meta, Unknown):
            return False
        held = meta.get("available_cents")
        if held is None or meta.get("currency_code", "USD") != request.currency:
            return None
        return isinstance(held, int) and held >= needed

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        return await self._find(request, key, reference) or Unknown("Tremendous does not show it any more")

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        order = await self._order(paid.reference)
        if order is None or isinstance(order, Failure):
            return order or Unknown("Tremendous does not show it any more")
        return seen(lambda: _cancelled(request, order))

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
        if done := seen(lambda: _cancelled(request, order)):
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
        orders = seen(lambda: [_listed(order) for order in reply.body["orders"]])
        if isinstance(orders, Unknown):
            return orders
        within = [order for order in orders if order.at is None or order.at < until]
        return ListedPage(within, str(offset + _PAGE) if len(orders) >= _PAGE else None)

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
        return seen(lambda: Handed("link", _web_address(reply.body["reward"]["link"]), reward))

    async def _find(self, request: PaymentRequest, key: str, name: str) -> Answer | None:
        order = await self._order(name)
        if order is None or isinstance(order, Failure):
            return order
        return seen(lambda: _answer(request, key, order))

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


def _web_address(text: Any) -> str:
    """Return the text if it is a link that is safe in a letter, else raise ValueError."""
    if not isinstance(text, str) or not _LINK.fullmatch(text):
        raise ValueError("no link")
    return text


def _code(reply: Reply) -> str | None:
    """Return a code for a refusal, or None if it does not have Tremendous's form: it has messages but no codes."""
    return "refused" if isinstance(reply.body.get("errors"), dict) else None


def _listed(order: Mapping[str, Any]) -> Listed:
    """Return an order as listed. If it holds more than one reward, its amount is None."""
    rewards, status = order["rewards"], order["status"]
    value = rewards[0]["value"]
    currency = str(value["currency_code"])
    amount_minor = minor_of_decimal(Decimal(value["denomination"]), currency) if len(rewards) == 1 else None
    state = ListedState.PAID if status == _EXECUTED else ListedState.UNDER_WAY
    return Listed(
        reference=str(order["id"]),
        payout=payout_of(order.get("external_id")),
        key=order.get("external_id"),
        amount_minor=amount_minor,
        currency=currency,
        destination=rewards[0]["recipient"]["name"],
        state=ListedState.FAILED if status in _FAILED else state,
        at=datetime.fromisoformat(order["created_at"]),
    )


def _answer(request: PaymentRequest, key: str, order: Mapping[str, Any]) -> Answer:
    """Return what an order shows. If it is not ours or holds more than one reward, its amount is None."""
    rewards, status = order["rewards"], order["status"]
    ours = order["external_id"] == key and len(rewards) == 1
    value = rewards[0]["value"]
    currency = str(value["currency_code"])
    amount_minor = minor_of_decimal(Decimal(value["denomination"]), currency) if ours else None
    name = rewards[0]["recipient"]["name"]
    placed = Paid(str(order["id"]), amount_minor, currency, request.destination if name == request.payee else name)
    if status == _EXECUTED or not ours:
        return placed
    if status in _FAILED:
        return Declined(f"Tremendous did not carry it out ({status})")
    return Accepted(placed, f"Tremendous has it as {status}") if status in _UNDER_WAY else Unknown(f"it is {status}")


def _cancelled(request: PaymentRequest, order: Mapping[str, Any]) -> Reversed | None:
    """Return the reversal if the order was cancelled, else None."""
    if order["status"] != "CANCELED":
        return None
    return Reversed(str(order["rewards"][0]["id"]), request.amount_minor, request.currency)
