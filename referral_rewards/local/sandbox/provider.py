"""What all sandbox providers share: a clock, a script of faults, and strict reading of requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote

from referral_rewards.loopback import Message, Receive, Send, body_of, reply

_BEGINNING: Final = datetime(2026, 7, 1, tzinfo=UTC)
#: Longer than any client waits. It ends with the connection.
_FOR_EVER_SECONDS: Final = 3600.0


class Fault(StrEnum):
    """What goes wrong with a request. In the cases that say so, the provider has carried the request out before."""

    NOT_REACHED = "the connection breaks before it was carried out"
    REPLY_LOST = "the connection breaks after it was carried out"
    TOO_SLOW = "it was carried out, and the answer does not come in time"
    CONFLICT = "409: another request under the key is under way"
    TOO_MANY = "429: too many requests"
    BROKEN = "500: it was not carried out"
    BROKEN_AFTER = "500: it was carried out"
    GATEWAY = "503, and a page instead of an answer"
    SHUT = "401: the key is not taken"
    FORBIDDEN = "403: the key does not suffice"


class Clock:
    """The provider's time, which only advances when set."""

    def __init__(self) -> None:
        self._now = _BEGINNING

    @property
    def now(self) -> datetime:
        return self._now

    def pass_time(self, duration: timedelta) -> None:
        self._now += duration


class WallClock(Clock):
    """The real time."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a provider reads it. A form or JSON becomes ``document``; numbers with a point become decimals."""

    method: str
    steps: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    document: Mapping[str, Any]

    @property
    def has_body(self) -> bool:
        """Whether anything came with it, even an empty object."""
        return bool(self.document) or self.headers.get("content-length", "0") != "0"


@dataclass(frozen=True, slots=True)
class Response:
    """A status with a JSON document and optional headers."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that the provider refuses with an error in its own form."""

    def __init__(self, response: Response) -> None:
        self.response = response


class Teller(Protocol):
    """Delivers a provider's events, later or before the response to the request."""

    async def tell(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Accept events for delivery, each a whole document in the provider's form."""
        ...


class Provider:
    """One provider. Its own lists hold what it paid. ``asked`` counts requests that reached it, ``answered`` those that
    it carried out. ``poor`` means that its balance is empty. It sends events by ``webhooks``, if there are any.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.asked: list[Request] = []
        self.answered: list[tuple[Request, Response]] = []
        self.poor = False
        self.webhooks: Teller | None = None
        self._faults: list[tuple[str, Fault]] = []
        self._news: list[Mapping[str, Any]] = []
        self._count = 0

    def number(self) -> int:
        """Return the number of the next object that it creates."""
        self._count += 1
        return self._count

    def books(self) -> dict[str, Any]:
        """Return its whole state, as JSON."""
        return {"made": self._count}

    def restore(self, books: Mapping[str, Any]) -> None:
        """Restore its state."""
        self._count = books["made"]

    def happened(self, event: Mapping[str, Any]) -> None:
        """Queue an event in the provider's form, to be sent once the current request has been carried out."""
        self._news.append(event)

    async def told(self) -> None:
        """Deliver the queued events."""
        news, self._news = self._news, []
        if self.webhooks is not None and news:
            await self.webhooks.tell(news)

    def fail(self, *faults: Fault, method: str = "POST") -> None:
        """Let each of the next requests of that method meet one of these faults, in order."""
        self._faults += [(method, fault) for fault in faults]

    def heal(self) -> None:
        """Remove all scripted faults."""
        self._faults.clear()

    def admits(self, request: Request) -> Response | None:
        """Return the refusal of a request with wrong credentials, or None if they are accepted."""
        raise NotImplementedError

    def act(self, request: Request) -> Response:
        """Carry a request out, or raise Refused."""
        raise NotImplementedError

    def error(self, status: int, request: Request) -> Response:
        """Return an error response in its own form."""
        raise NotImplementedError

    def failed(self, request: Request, response: Response) -> None:
        """Remember a response 500, if the provider remembers any."""

    def scripted(self, request: Request) -> bool:
        """Whether the scripted faults apply to a request."""
        return True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The provider as an ASGI application."""
        request = await _read(scope, receive)
        self.asked.append(request)
        fault = self._next_fault(request)
        if fault is Fault.NOT_REACHED:
            return await _break(send)
        if (refusal := self._refusal(fault, request)) is not None:
            return await _answer(send, refusal)
        if fault is Fault.GATEWAY:
            return await reply(send, 503, b"<html>gateway</html>", **{"content-type": "text/html"})
        if fault is Fault.BROKEN:
            response = self.error(500, request)
            self.failed(request, response)
            return await _answer(send, response)
        response = self.admits(request) or self._carried_out(request)
        if fault is Fault.BROKEN_AFTER:
            response = self.error(500, request)
            self.failed(request, response)
        await self.told()
        if fault is Fault.REPLY_LOST:
            return await _break(send)
        if fault is Fault.TOO_SLOW:
            await _until_they_leave(receive)
            return None
        return await _answer(send, response)

    def _next_fault(self, request: Request) -> Fault | None:
        if not self.scripted(request):
            return None
        found = next((each for each in self._faults if each[0] == request.method), None)
        if found is None:
            return None
        self._faults.remove(found)
        return found[1]

    def _refusal(self, fault: Fault | None, request: Request) -> Response | None:
        statuses = {Fault.CONFLICT: 409, Fault.TOO_MANY: 429, Fault.SHUT: 401, Fault.FORBIDDEN: 403}
        return self.error(statuses[fault], request) if fault in statuses else None

    def _carried_out(self, request: Request) -> Response:
        try:
            response = self.act(request)
        except Refused as refused:
            response = refused.response
        self.answered.append((request, response))
        return response


Check = Callable[[Any], bool]


def strictly(document: object, required: Mapping[str, Check], optional: Mapping[str, Check]) -> list[str]:
    """Return the fields of a document that are missing, unknown or of the wrong type."""
    if not isinstance(document, Mapping):
        return ["."]
    missing = [name for name in required if name not in document]
    known = {**optional, **required}
    return missing + [name for name, value in document.items() if name not in known or not known[name](value)]


def text(maximum: int, minimum: int = 1) -> Check:
    """Return the check for a text of limited length."""
    return lambda value: isinstance(value, str) and minimum <= len(value) <= maximum


def encoded(document: Mapping[str, Any]) -> bytes:
    """Encode a document as JSON, with decimals as numbers."""
    return json.dumps(
        document, default=lambda value: float(value) if isinstance(value, Decimal) else str(value)
    ).encode()


async def _read(scope: Message, receive: Receive) -> Request:
    body = await body_of(receive)
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        document: Mapping[str, Any] = _form(body.decode())
    else:
        document = _json(body)
    steps = tuple(unquote(step) for step in scope["raw_path"].decode("ascii").split("/") if step)
    return Request(scope["method"], steps, dict(parse_qsl(scope["query_string"].decode())), headers, document)


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body, parse_float=Decimal) if body else {}
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"": "not an object"}


def _form(body: str) -> dict[str, Any]:
    """Decode a form with names such as ``metadata[payout]`` into a nested object."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        steps = name.replace("]", "").split("[")
        within = found
        for step in steps[:-1]:
            within = within.setdefault(step, {})
        within[steps[-1]] = value
    return found


async def _answer(send: Send, response: Response) -> None:
    await reply(send, response.status, encoded(response.document), **response.headers)


async def _break(send: Send) -> None:
    """Send a response that begins and never ends: the server closes the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


async def _until_they_leave(receive: Callable[[], Awaitable[Message]]) -> None:
    async with asyncio.timeout(_FOR_EVER_SECONDS):
        while (await receive())["type"] != "http.disconnect":
            pass
