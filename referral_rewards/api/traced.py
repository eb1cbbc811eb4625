"""A trace begins with each request that may change something. What a caller names as its trace is not taken over."""

import re
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a route says of the form of a parameter.
_CONVERTER: Final = re.compile(r":\w+\}")


class Traced:
    """Middleware that makes one span of a request: its method, its route and the status of its answer.

    The address itself is not told: it may hold what a stranger typed.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        with self._tracer.start_as_current_span(scope["method"], Context(), SpanKind.SERVER) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            try:
                await self._app(scope, receive, noting)
            finally:
                route = _CONVERTER.sub("}", getattr(scope.get("route"), "path", ""))
                span.update_name(f"{scope['method']} {route}".strip())
                span.set_attributes({"http.request.method": scope["method"], "http.route": route})
