"""Sources that speak our own form over HTTP, and our own register.

An outside source reports facts in the same form in which it would post them to us.
``GET {url}/orders/{order}``, with ``?store={store}`` where one is known, and ``GET {url}/customers/{customer}`` answer
``{"facts": [CloudEvent, …]}``, or 404 if the source knows nothing. ``GET {url}`` answers 2xx or 404.
docs/guides/sources.md describes how to build a source.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

import httpx

from referral_rewards.domain.errors import FactInvalid
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals import inquiries
from referral_rewards.domain.referrals.inquiries import (
    REGISTER,
    SourceAnswer,
    about_customer,
    about_order,
    register_answer,
    unavailable,
)
from referral_rewards.domain.referrals.versions import NOTHING, OnRecord
from referral_rewards.sources.asking import PATIENCE_SECONDS, PAUSES, Asker, Unusable
from referral_rewards.sources.port import Endpoint, Told

#: What was asked about.
_N = TypeVar("_N")


class HttpSource:
    """A source at a URL. The caller closes the client."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        client: httpx.AsyncClient,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._name = name
        self._url = endpoint.url.rstrip("/")
        headers = {b"Authorization": f"Bearer {endpoint.token}".encode()} if endpoint.token else {}
        self._asker = Asker(client, headers, patience_seconds=patience_seconds, pauses=pauses)

    async def order(self, order: str, store: str | None = None, on_record: OnRecord = NOTHING) -> Told:
        asked = f"?store={quote(store, safe='')}" if store is not None else ""
        return await self._ask(f"orders/{quote(order, safe='')}{asked}", OrderName(order, store), about_order)

    async def customer(self, customer: str) -> Told:
        return await self._ask(f"customers/{quote(customer, safe='')}", customer, about_customer)

    async def reachable(self) -> str | None:
        try:
            await self._asker.get(self._url)
        except Unusable as unusable:
            return str(unusable)
        return None

    async def _ask(self, path: str, name: _N, reading: Callable[[str, _N, Iterable[Event]], SourceAnswer]) -> Told:
        """Ask for what is at ``path``. ``reading`` derives the answer from the source's name, what was asked about, and
        the reported facts."""
        try:
            body = await self._asker.get(f"{self._url}/{path}")
            facts = _facts(body)
        except Unusable as unusable:
            return Told(unavailable(self._name, str(unusable)))
        answer = reading(self._name, name, facts)
        digest = hashlib.sha256(body).hexdigest() if body is not None else None
        said = replace(answer, content_hash=digest)
        usable = said.answer is not inquiries.Answer.UNAVAILABLE
        return Told(said, facts if usable else ())


def _facts(body: bytes | None) -> list[Event]:
    """Return the facts of a response; none for a 404.

    Raises:
        Unusable: if the response does not have the form in docs/guides/sources.md.
    """
    if body is None:
        return []
    try:
        return [parse_event(each) for each in json.loads(body)["facts"]]
    except FactInvalid:
        raise Unusable("It told a fact that is none (CloudEvents 1.0).") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unusable("Its answer is not of the form that was agreed.") from None


class RegisterSource:
    """The source for programs that have none to ask. Reversals reach us as facts, and the register counts them
    already."""

    async def order(self, order: str, store: str | None = None, on_record: OnRecord = NOTHING) -> Told:
        return Told(register_answer(OrderName(order, store)))

    async def customer(self, customer: str) -> Told:
        return Told(unavailable(REGISTER, "Our own record is no source of customers."))

    async def reachable(self) -> str | None:
        return None
