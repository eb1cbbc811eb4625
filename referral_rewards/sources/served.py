"""A scripted source behind real HTTP on loopback, in the form that docs/sources.md asks of a real one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from urllib.parse import unquote

import uvicorn

from referral_rewards.sources.fake import FakeSource, body_of

_HOST: Final = "127.0.0.1"
_Message = MutableMapping[str, Any]
#: An ASGI application: the whole of what is served is one function.
App = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """Serves an application on a free port for the length of the block; gives its URL. Requests that are still under
    way at the end are dropped."""
    with socket.create_server((_HOST, 0)) as listening:
        # It listens from here on: whoever asks before the loop below runs waits in its backlog.
        settings = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=0)
        server = _Server(settings)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://{_HOST}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def as_app(source: FakeSource, token: str | None = None) -> App:
    """What the source knows, over HTTP; 401 without the ``token``, if one is given, and 503 while it is down."""
    known = {"orders": source.of_order, "customers": source.of_customer}

    async def app(scope: _Message, receive: object, send: Callable[[_Message], Awaitable[None]]) -> None:
        # The path as it came: decoded as a whole, a slash within an id could not be told from one between two steps.
        kind, name = _steps(scope["raw_path"])
        if kind in known:
            source.asked.append((kind, name))
        if token is not None and (b"authorization", f"Bearer {token}".encode()) not in scope["headers"]:
            return await reply(send, 401)
        if source.down:
            return await reply(send, 503)
        await asyncio.sleep(source.slow)
        facts = known[kind](name) if kind in known else []
        return await reply(send, 200, body_of(facts)) if facts or not kind else await reply(send, 404)

    return app


async def reply(send: Callable[[_Message], Awaitable[None]], status: int, body: bytes = b"", **headers: str) -> None:
    """A whole answer."""
    named = [(name.encode(), value.encode()) for name, value in {"content-type": "application/json", **headers}.items()]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: the process belongs to whoever serves, and so do its signals."""
        yield


def _steps(raw_path: bytes) -> tuple[str, str]:
    """The last two steps of a path, decoded; empty at the root."""
    before, _, last = raw_path.decode("ascii").rpartition("/")
    return unquote(before.rpartition("/")[2]), unquote(last)
