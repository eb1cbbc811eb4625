"""Serves an ASGI application on a free loopback port within the running event loop. Sandboxes of outside systems use it
to answer over real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import uvicorn

_HOST: Final = "127.0.0.1"
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: An ASGI application, as one function.
App = Callable[[Message, Receive, Send], Awaitable[None]]


@asynccontextmanager
async def served(app: App, *, is_dated: bool = True) -> AsyncIterator[str]:
    """Serve an application on a free port for the length of the block, and yield its URL. Requests that are still open
    at the end are dropped. ``is_dated``: each response has our clock in ``Date``; else the application's, if any."""
    with listener() as listening:
        # The socket listens from here on: earlier requests wait in its backlog until the server runs.
        settings = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=is_dated,
        )
        server = _Server(settings)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://{_HOST}:{listening.getsockname()[1]}"
        finally:
            server.ending.set()
            await serving


def listener() -> socket.socket:
    """Return a socket that listens on a free loopback port."""
    # With the protocol given, asyncio sets TCP_NODELAY. Without it, every second part of a response on a kept-alive
    # connection waits 40 ms for the first part to be acknowledged.
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.bind((_HOST, 0))
    opened.listen()
    return opened


async def reply(send: Send, status: int, body: bytes = b"", **headers: str) -> None:
    """Send a complete response; JSON unless ``headers`` say otherwise."""
    named = [(name.encode(), value.encode()) for name, value in {"content-type": "application/json", **headers}.items()]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


class _Server(uvicorn.Server):
    """Ends as soon as ``ending`` is set. That of uvicorn looks ten times a second whether it shall end, and waits."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending: Final = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals: the process and its signals belong to the caller."""
        yield

    async def main_loop(self) -> None:
        """Date the answers anew each second, until it shall end."""
        while not self.ending.is_set():
            await self.on_tick(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what listens and what is connected, and drop the requests that are open."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
