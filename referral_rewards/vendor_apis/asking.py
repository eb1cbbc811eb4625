"""One request to a vendor's API: its answer, or why there is none.

Redirects are not followed and proxies of the environment are ignored: the key goes only to the configured address.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, NamedTuple

import httpx

from referral_rewards.operation.outgoing import Note, transport
from referral_rewards.vendor_apis.port import NotTold, Trouble
from referral_rewards.vendors.access import ApiAccess
from referral_rewards.vendors.port import Unreadable
from referral_rewards.vendors.values import document

#: From connecting to the last byte of one page.
PATIENCE_SECONDS: Final = 30.0
#: Far more than any page of a hundred objects.
BODY_BYTES_MAX: Final = 32_000_000
#: The pause after "too often", where a vendor names none, and the longest that it is believed.
_USUAL_PAUSE: Final = timedelta(seconds=10)
_LONGEST_PAUSE: Final = timedelta(hours=1)


class Answer(NamedTuple):
    """A complete, successful answer. ``body`` is its JSON, numbers with a fraction as texts; names of headers are in
    lower case."""

    body: Any
    headers: Mapping[str, str]

    @property
    def at(self) -> datetime | None:
        """The vendor's clock when it answered."""
        return _moment(self.headers.get("date", ""))


class Asking:
    """Asks one API, never more than ``per_second`` requests a second from this process. The caller closes it."""

    def __init__(
        self,
        access: ApiAccess,
        headers: Mapping[str, str],
        per_second: float,
        note: Note | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._url, self._headers = access.url, dict(headers)
        self._patience_seconds = patience_seconds
        self._pause, self._turn, self._next = 1 / per_second, asyncio.Lock(), 0.0
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, transport=transport(note))

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | None:
        """Return the answer to one request; None if there is nothing at the path (404).

        Raises:
            NotTold: if no usable answer comes.
        """
        await self._in_turn()
        request = partial(
            self._client.build_request,
            method,
            f"{self._url}/{path.lstrip('/')}",
            params=None if query is None else dict(query),
            json=body,
            headers={**self._headers, **(headers or {})},
            timeout=None,
        )
        status, told, raw = await self._exchange(request)
        if status == httpx.codes.NOT_FOUND:
            return None
        if not 200 <= status < 300:
            raise _trouble(status, told)
        try:
            return Answer(document(raw), told)
        except Unreadable:
            raise NotTold(Trouble.BROKEN, "its answer is no JSON") from None

    async def _in_turn(self) -> None:
        """Wait until the next request may be sent."""
        async with self._turn:
            clock = asyncio.get_running_loop().time
            await asyncio.sleep(max(0.0, self._next - clock()))
            self._next = clock() + self._pause

    async def _exchange(self, request: Callable[[], httpx.Request]) -> tuple[int, Mapping[str, str], bytes]:
        response = None
        try:
            # The client's own timeouts restart with each byte; this one does not.
            async with asyncio.timeout(self._patience_seconds):
                response = await self._client.send(request(), stream=True)
                raw = bytearray()
                async for chunk in response.aiter_bytes():
                    raw += chunk
                    if len(raw) > BODY_BYTES_MAX:
                        raise NotTold(Trouble.BROKEN, "its answer is too long to be one page")
                return response.status_code, response.headers, bytes(raw)
        except NotTold:
            raise
        except Exception as error:  # not only httpx's: an invalid address can raise any
            raise NotTold(Trouble.SILENT, f"no whole answer came ({type(error).__name__})") from None
        finally:
            if response is not None:
                await response.aclose()


def listed(found: object, name: str) -> list[Mapping[str, Any]]:
    """Return the objects that an answer lists under a name.

    Raises:
        NotTold: if there is no list of objects.
    """
    held = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(held, list) or not all(isinstance(each, Mapping) for each in held):
        raise NotTold(Trouble.BROKEN, f"its answer has no list {name!r}")
    return held


def _trouble(status: int, headers: Mapping[str, str]) -> NotTold:
    """Return what an unsuccessful status means. The vendor's own words are not repeated: they may quote anything."""
    said = f"it answered {status}"
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return NotTold(Trouble.LIMITED, f"{said}: it is asked too often", _pause(headers))
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return NotTold(Trouble.DENIED, f"{said}: the key of its api is wrong, or may not read this")
    if status >= 500:
        return NotTold(Trouble.SILENT, said, _pause(headers) if "retry-after" in headers else None)
    return NotTold(Trouble.REFUSED if status >= 400 else Trouble.BROKEN, said)


def _pause(headers: Mapping[str, str]) -> timedelta:
    """Return how long to wait: ``Retry-After`` in seconds, with a fraction at some vendors, or as a date."""
    told = headers.get("retry-after", "").strip()
    try:
        found = timedelta(seconds=float(told))
    except (ValueError, OverflowError):
        until, now = _moment(told), _moment(headers.get("date", "")) or datetime.now(UTC)
        found = _USUAL_PAUSE if until is None else until - now
    return min(max(found, timedelta(seconds=1)), _LONGEST_PAUSE)


def _moment(told: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(told)
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
