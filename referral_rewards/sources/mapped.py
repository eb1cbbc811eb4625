"""A source that answers in its own words, read by a mapping of the company's (`mapping.py`)."""

import asyncio
import hashlib
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.inquiries import about_customer, unavailable
from referral_rewards.domain.referrals.versions import NOTHING, OnRecord
from referral_rewards.sources import mapped_order
from referral_rewards.sources.asking import PATIENCE_SECONDS, PAUSES, Asker, Unusable
from referral_rewards.sources.mapped_values import Values, event
from referral_rewards.sources.mapping import MappedEndpoint, Part, Value
from referral_rewards.sources.port import Told
from referral_rewards.vendors.envelope import fact
from referral_rewards.vendors.port import Unreadable
from referral_rewards.vendors.values import document


class MappedSource:
    """A source with a mapping. The caller closes the client."""

    def __init__(
        self,
        name: str,
        endpoint: MappedEndpoint,
        client: httpx.AsyncClient,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._asker = Asker(client, endpoint.headers, patience_seconds=patience_seconds, pauses=pauses)

    async def order(self, order: str, store: str | None = None, on_record: OnRecord = NOTHING) -> Told:
        """See `Source.order`. The order and its account are asked for at once."""
        endpoint, named = self._endpoint, OrderName(order, store)
        told = {"order": order, "store": store or "", "customer": on_record.customer or ""}
        try:
            if endpoint.order is None:
                raise Unusable("Its mapping says nothing of orders.")
            bodies = await _all_of(self._get(endpoint.order, told), self._get(endpoint.account, told))
            documents = tuple(None if each is None else _decoded(each) for each in bodies)
            answer, facts = mapped_order.read(self._name, endpoint, named, (documents[0], documents[1]), on_record)
        except Unusable as unusable:
            return Told(unavailable(self._name, str(unusable)))
        return Told(replace(answer, content_hash=_digest(bodies)), facts)

    async def customer(self, customer: str) -> Told:
        """See `Source.customer`. The issues of the customer are listed; an unknown customer has none."""
        part = self._endpoint.customer
        try:
            if part is None or part.items is None:
                raise Unusable("Its mapping says nothing of customers.")
            body = await self._get(part, {"customer": customer})
            found = part.object_in(_decoded(body)) if body is not None else None
            facts = list(_issues(self._endpoint.source, part, customer, found)) if found is not None else []
        except Unusable as unusable:
            return Told(unavailable(self._name, str(unusable)))
        return Told(replace(about_customer(self._name, customer, facts), content_hash=_digest([body])), facts)

    async def reachable(self) -> str | None:
        """See `Source.reachable`."""
        try:
            await self._asker.get(self._endpoint.check)
        except Unusable as unusable:
            return str(unusable)
        return None

    async def _get(self, part: Part | None, told: Mapping[str, str]) -> bytes | None:
        if part is None:
            return None
        if missing := [name for name in told if f"{{{name}}}" in part.url and not told[name] and name != "store"]:
            raise Unusable(f"It has to be asked about a {missing[0]}, and none is known.")
        url = part.url
        for name, value in told.items():
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
        return await self._asker.get(url)


async def _all_of(*asked: Awaitable[bytes | None]) -> list[bytes | None]:
    """Return what is answered to all; nothing goes on once one of them failed.

    Raises:
        Unusable: as the first of them that does.
    """
    came = await asyncio.gather(*asked, return_exceptions=True)
    for each in came:
        if isinstance(each, BaseException):
            raise each
    return [each for each in came if not isinstance(each, BaseException)]


def _decoded(body: bytes) -> Any:
    try:
        return document(body)
    except Unreadable:
        raise Unusable("Its answer is no JSON.") from None


def _digest(bodies: Sequence[bytes | None]) -> str | None:
    """Return the SHA-256 of what came; of two answers one after the other."""
    came = [each for each in bodies if each is not None]
    return hashlib.sha256(b"".join(came)).hexdigest() if came else None


def _issues(source: str, part: Part, customer: str, found: Mapping[str, Any]) -> Iterator[Event]:
    if part.items is None:
        return
    for each in Values(part, found).items(part.items):
        its = each.needed(Value.ID)
        data, said = {"customer": {"customer": customer}, "issue": its}, f"customer/{customer}/issue/{its}"
        yield event(fact(source, said, FactType.ISSUE_OPENED, each.moment(Value.TIME), data))
        if (resolved_at := each.maybe_moment(Value.RESOLVED_AT)) is not None:
            yield event(fact(source, f"{said}/resolved", FactType.ISSUE_RESOLVED, resolved_at, data))
