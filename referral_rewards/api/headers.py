"""Rules for every request and response: a limit for bodies, and security headers."""

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
#: Two years, as the browsers' preload lists require; sent over HTTPS only, where it has an effect.
STRICT_TRANSPORT_SECURITY: Final = "max-age=63072000; includeSubDomains"
#: A static file has its digest in its address, so it can be cached for ever.
FOREVER: Final = "public, max-age=31536000, immutable"


def secured(scope: Scope, send: Send) -> Send:
    """Add these headers to every response, also after unexpected errors; headers that a route sets are kept."""
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
#: Paths whose body is read as a stream and never held in memory, so that it may have any length.
UNBOUNDED: Final = frozenset({"/v1/batches"})


class BodyLimit:
    """Counts the bytes of a body; reading past the limit fails with 413, except on the `UNBOUNDED` paths."""

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
