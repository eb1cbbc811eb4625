"""The port for probes and for Prometheus, apart from the one that people and sources reach."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.operation.pulse import Pulse, Readiness

#: Returns the metrics in Prometheus' text format. It reads no database: a scrape costs nothing, and what is down is
#: told as well as what is up.
Exposition = Callable[[], bytes]


def application(pulse: Pulse, ready: Readiness, exposition: Exposition) -> Starlette:
    """Return what answers on that port: ``/livez``, ``/readyz`` and ``/metrics``."""

    async def livez(request: Request) -> Response:
        silent = pulse.silent()
        return _answer(f"no sign of life of {', '.join(silent)}" if silent else None)

    async def readyz(request: Request) -> Response:
        return _answer(ready.problem)

    async def metrics(request: Request) -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])


@asynccontextmanager
async def serving(host: str, port: int, app: Starlette) -> AsyncIterator[int]:
    """Serve for the length of the block, and yield the port; 0 takes a free one.

    Raises:
        BadInput: if the port is taken.
    """
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        told = f"can't listen on {host}:{port}: {error.strerror}"
        raise BadInput([Problem("REFERRALS_OPERATION_PORT", told)]) from None
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False))
    serve = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await serve
        listening.close()


class _Server(uvicorn.Server):
    """Leaves signals to the process that it is a part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _answer(problem: str | None) -> Response:
    return JSONResponse({"status": problem or "ok"}, 200 if problem is None else 503)
