"""Requests to others, noted by what became of them: a provider that is slow or shut is seen before it is asked why."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import httpx


class Reception(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    REFUSED = "refused"  # 4xx
    DENIED = "denied"  # 401 or 403: it does not let us in
    LIMITED = "limited"  # 429: we ask too often
    FAILED = "failed"  # 5xx
    SILENT = "silent"  # no answer came in time, or none at all


#: Takes the act (`look` or `send`), what became of it, and the seconds it took.
Note = Callable[[str, Reception, float], None]
#: Returns the note of one provider or source, by its name.
Noting = Callable[[str], Note]

_OF_ITS_OWN: Final = {401: Reception.DENIED, 403: Reception.DENIED, 429: Reception.LIMITED}


def transport(note: Note | None) -> httpx.AsyncBaseTransport | None:
    """Return the transport of a client whose requests are noted; None, httpx's own, without a note."""
    return None if note is None else Noted(httpx.AsyncHTTPTransport(trust_env=False), note)


def reception(status: int) -> Reception:
    """Return what an HTTP status means for whoever asked."""
    if status >= 500:
        return Reception.FAILED
    return _OF_ITS_OWN.get(status, Reception.REFUSED if status >= 400 else Reception.ANSWERED)


class Noted(httpx.AsyncBaseTransport):
    """A transport that notes each request once its answer begins, or once nobody waits for one any more."""

    def __init__(self, over: httpx.AsyncBaseTransport, note: Note) -> None:
        self._over = over
        self._note = note

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        began, became = time.monotonic(), Reception.SILENT
        try:
            response = await self._over.handle_async_request(request)
            became = reception(response.status_code)
            return response
        finally:
            act = "look" if request.method in ("GET", "HEAD") else "send"
            self._note(act, became, time.monotonic() - began)

    async def aclose(self) -> None:
        await self._over.aclose()
