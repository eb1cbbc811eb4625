"""The sources of an installation, by their names in the terms: outside ones over HTTP, and our own register.

An outside source reports facts in the same form in which it would post them to us.
``GET {url}/orders/{order}``, with ``?store={store}`` where one is known, and ``GET {url}/customers/{customer}`` answer
``{"facts": [CloudEvent, …]}``, or 404 if the source knows nothing. ``GET {url}`` answers 2xx or 404.
docs/guides/sources.md describes how to build a source.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar
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
from referral_rewards.operation.outgoing import Noting, transport
from referral_rewards.sources.port import Endpoint, Source, Told

#: The pauses before the second and the third try, and the time for one try from connecting to the last byte. Together
#: they give a source seven seconds to answer, because a judgement waits for it.
_PAUSES: Final = (0.2, 0.5)
_PATIENCE_SECONDS: Final = 2.0
#: Far more than any response about one order or one customer.
_BODY_BYTES_MAX: Final = 1_000_000


#: What was asked about.
_N = TypeVar("_N")


class _Unusable(Exception):
    """A response that cannot be used. The message says why; ``again`` says whether a retry may help."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class HttpSource:
    """A source at a URL. The caller closes the client."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        client: httpx.AsyncClient,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        self._name = name
        self._url = endpoint.url.rstrip("/")
        self._headers = {b"Authorization": f"Bearer {endpoint.token}".encode()} if endpoint.token else {}
        self._client = client
        self._patience_seconds = patience_seconds
        self._pauses = pauses

    async def order(self, order: str, store: str | None = None) -> Told:
        asked = f"?store={quote(store, safe='')}" if store is not None else ""
        return await self._ask(f"orders/{quote(order, safe='')}{asked}", OrderName(order, store), about_order)

    async def customer(self, customer: str) -> Told:
        return await self._ask(f"customers/{quote(customer, safe='')}", customer, about_customer)

    async def reachable(self) -> str | None:
        try:
            await self._get(self._url)
        except _Unusable as unusable:
            return str(unusable)
        return None

    async def _ask(self, path: str, name: _N, reading: Callable[[str, _N, Iterable[Event]], SourceAnswer]) -> Told:
        """Ask for what is at ``path``. ``reading`` derives the answer from the source's name, what was asked about, and
        the reported facts."""
        try:
            body = await self._get(f"{self._url}/{path}")
            facts = _facts(body)
        except _Unusable as unusable:
            return Told(unavailable(self._name, str(unusable)))
        answer = reading(self._name, name, facts)
        digest = hashlib.sha256(body).hexdigest() if body is not None else None
        said = SourceAnswer(answer.answer, answer.sentence, answer.source, digest)
        usable = said.answer is not inquiries.Answer.UNAVAILABLE
        return Told(said, facts if usable else ())

    async def _get(self, url: str) -> bytes | None:
        """Return the body of a response, or None for a 404.

        Raises:
            _Unusable: if a retry cannot help, or after the last try.
        """
        for pause in (*self._pauses, None):
            try:
                return await self._get_once(url)
            except _Unusable as unusable:
                if pause is None or not unusable.again:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _get_once(self, url: str) -> bytes | None:
        try:
            # The client's own timeouts restart with each byte; this one does not.
            async with asyncio.timeout(self._patience_seconds):
                return await self._read(url)
        except _Unusable:
            raise
        except Exception as error:
            # Not only httpx's errors: an invalid address can raise any exception.
            raise _Unusable(f"It could not be reached ({type(error).__name__}).", again=True) from None

    async def _read(self, url: str) -> bytes | None:
        async with self._client.stream("GET", url, headers=self._headers, timeout=None) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            if not response.is_success:
                again = response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS
                raise _Unusable(f"It answered {response.status_code}.", again=again)
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _BODY_BYTES_MAX:
                    raise _Unusable("Its answer is too long to be one.", again=False)
            return body


def _facts(body: bytes | None) -> list[Event]:
    """Return the facts of a response; none for a 404.

    Raises:
        _Unusable: if the response does not have the form in docs/guides/sources.md.
    """
    if body is None:
        return []
    try:
        return [parse_event(each) for each in json.loads(body)["facts"]]
    except FactInvalid:
        raise _Unusable("It told a fact that is none (CloudEvents 1.0).", again=False) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _Unusable("Its answer is not of the form that was agreed.", again=False) from None


@asynccontextmanager
async def connected(
    endpoints: Mapping[str, Endpoint], noting: Noting | None = None
) -> AsyncIterator[Mapping[str, Source]]:
    """Yield the register and every source of ``endpoints``, for the length of the block. Each request is noted under
    the source's name."""
    outside: dict[str, Source] = {}
    async with AsyncExitStack() as clients:
        for name, at in endpoints.items():
            over = transport(noting(name) if noting is not None else None)
            client = httpx.AsyncClient(follow_redirects=False, trust_env=False, transport=over)
            outside[name] = HttpSource(name, at, await clients.enter_async_context(client))
        yield {REGISTER: RegisterSource(), **outside}


class RegisterSource:
    """The source for programs that have none to ask. Reversals reach us as facts, and the register counts them
    already."""

    async def order(self, order: str, store: str | None = None) -> Told:
        return Told(register_answer(OrderName(order, store)))

    async def customer(self, customer: str) -> Told:
        return Told(unavailable(REGISTER, "Our own record is no source of customers."))

    async def reachable(self) -> str | None:
        return None
