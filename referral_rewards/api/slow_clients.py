"""How long the API waits for a client: whoever sends or reads too slowly is cut off, so that nobody holds what others
need.

The server waits for ever for the head of a request and for a reader of an answer; `impatient` is a protocol that does
not. For a body waits whoever reads it (`BodyPatience`).
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

#: A body that comes slower than this for long is no upload over a bad line.
BYTES_PER_SECOND_MIN: Final = 1000


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits, in seconds.

    ``head``: from a connection, or the first byte of a further request, to the end of its headers. ``body``: between
    two parts of a body; and for all of it, beside a second for each `BYTES_PER_SECOND_MIN`. ``answer``: until a client
    reads on.
    """

    head: float = 10.0
    body: float = 20.0
    answer: float = 60.0


PATIENCE: Final = Patience()
_TOO_SLOW: Final = b"the request was not sent in time"
_ANSWER: Final = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_SLOW), _TOO_SLOW)
)


class BodyPatience:
    """Stops waiting for a body with 408. Only the time in which we waited counts, not that in which we worked."""

    def __init__(self, app: ASGIApp, patience: Patience = PATIENCE) -> None:
        self._app, self._pause = app, patience.body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        clock = asyncio.get_running_loop().time
        waited, seen, is_whole = 0.0, 0, scope["type"] != "http"

        async def in_time() -> Message:
            nonlocal waited, seen, is_whole
            if is_whole:
                return await receive()  # what comes now is that the client goes away
            begun, left = clock(), self._pause + seen / BYTES_PER_SECOND_MIN - waited
            try:
                async with asyncio.timeout(min(self._pause, left)):
                    message = await receive()
            except TimeoutError:
                told = "the body was not sent in time"
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, told, {"Connection": "close"}) from None
            waited += clock() - begun
            seen += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, in_time, send)


def impatient(patience: Patience = PATIENCE) -> type[H11Protocol]:
    """Return the server's protocol with these limits on heads and answers."""

    class Impatient(H11Protocol):
        """Cuts a client off that owes us the head of a request, or does not read our answer."""

        _waiting: asyncio.TimerHandle | None = None
        _writing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self.resume_writing()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._writing = self.loop.call_later(patience.answer, self.transport.abort)

        def resume_writing(self) -> None:
            if self._writing is not None:
                self._writing.cancel()
                self._writing = None
            super().resume_writing()

        def _wait(self) -> None:
            """Count from the first byte on, not from the last: a head that trickles in comes to no end either."""
            if self._serves() or self.transport.is_closing():
                self._stop_waiting()
            elif self._waiting is None:
                self._waiting = self.loop.call_later(patience.head, self._give_up)

        def _serves(self) -> bool:
            """Whether a request is being answered, whose body the app waits for."""
            cycle: RequestResponseCycle | None = getattr(self, "cycle", None)
            return cycle is not None and not cycle.response_complete

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _give_up(self) -> None:
            self._waiting = None
            if not self.transport.is_closing():
                self.transport.write(_ANSWER)
                self.transport.close()

    return Impatient
