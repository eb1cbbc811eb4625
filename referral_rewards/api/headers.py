"""What holds for every request and answer: bodies have a bound, and the browser loads nothing from elsewhere."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

ALWAYS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that don't know frame-ancestors
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
#: Two years, as browsers' lists ask for; said over HTTPS only, where it counts.
STRICT_TRANSPORT_SECURITY: Final = "max-age=63072000; includeSubDomains"
#: A file of ours has its digest in its address: what was fetched under it stays true.
FOREVER: Final = "public, max-age=31536000, immutable"


def secured(scope: Scope, send: Send) -> Send:
    """Sends answers on with these headers, those to unexpected errors included; what a route says itself stands."""
    if scope["type"] != "http":
        return send

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in ALWAYS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", _caching(scope, message["status"]))
            if scope["scheme"] == "https":
                headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY)
        await send(message)

    return with_headers


def _caching(scope: Scope, status: int) -> str:
    if not scope["path"].startswith("/static/"):
        return "no-store"
    kept = status in (200, 206, 304) and scope["query_string"].startswith(b"v=")
    return FOREVER if kept else "no-cache"


BODY_BYTES_MAX: Final = 5_000_000
#: Where a body is read as it comes and never held, so that it may have any length.
UNBOUNDED: Final = frozenset({"/v1/batches"})


class BodyLimit:
    """Counts what comes in; over the limit reading the body fails with 413, but where it is read as it comes."""

    def __init__(self, app: ASGIApp, limit: int = BODY_BYTES_MAX) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(HTTPStatus(413), f"a body has at most {self._limit:,} bytes; send less at a time")
            return message

        bounded = scope["type"] == "http" and scope["path"] not in UNBOUNDED
        await self._app(scope, counted if bounded else receive, send)
