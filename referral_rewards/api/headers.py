"""What every answer tells the browser: load nothing from elsewhere, run no script of others, keep no page of people."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

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
