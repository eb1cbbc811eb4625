"""Serves an ASGI application on loopback, on a free port and within the running loop: how scripted outside systems
are put behind real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn

_HOST: Final = "127.0.0.1"
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: An ASGI application: the whole of what is served is one function.
App = Callable[[Message, Receive, Send], Awaitable[None]]


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """Serves an application on a free port for the length of the block; gives its URL. Requests that are still under
    way at the end are dropped."""
    with listener() as listening:
        # It listens from here on: whoever asks before the loop below runs waits in its backlog.
        settings = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=0)
        server = _Server(settings)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://{_HOST}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def listener() -> socket.socket:
    """A socket that listens on a free port of loopback."""
    # With its protocol named, asyncio sends what is written at once; else every second part of an answer on a kept
    # connection waits 40 ms for the first to be acknowledged.
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.bind((_HOST, 0))
    opened.listen()
    return opened


async def reply(send: Send, status: int, body: bytes = b"", **headers: str) -> None:
    """A whole answer."""
    named = [(name.encode(), value.encode()) for name, value in {"content-type": "application/json", **headers}.items()]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: the process belongs to whoever serves, and so do its signals."""
        yield
