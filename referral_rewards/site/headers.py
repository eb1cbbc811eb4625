"""Rules for every request and answer: the size of a body, where a form came from, and the security headers.

No page has a script or an inline style, so the policy allows none.
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
ALWAYS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that don't know frame-ancestors
    # A page's address may name an invitation: no other site learns it.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
_STRICT: Final = "max-age=63072000; includeSubDomains"
BODY_BYTES_MAX: Final = 16_384
_SAFE: Final = frozenset({"GET", "HEAD"})


class Guarded:
    """The front door with its guards. Anybody may post to what ends in ``open_end``: mail programs unsubscribe."""

    def __init__(self, app: ASGIApp, home: str, open_end: str) -> None:
        self._app, self._origin, self._open_end = app, _origin(home), open_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _with_headers(scope, send)
        if (refused := self._refused(scope)) is not None:
            await refused(scope, receive, answer)
            return
        await self._app(scope, _limited(receive), answer)

    def _refused(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if int(headers.get("content-length") or 0) > BODY_BYTES_MAX:
            return PlainTextResponse("the form is too large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if scope["method"] in _SAFE or scope["path"].endswith(self._open_end):
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        # A privacy setting may hide the origin; then the browser's word on the site stands for it.
        elsewhere = origin not in (None, "null", self._origin) or site not in (None, "none", "same-origin")
        if elsewhere or (origin == "null" and site is None):
            return PlainTextResponse("this form was sent from another site", HTTPStatus.FORBIDDEN)
        return None


def _limited(receive: Receive) -> Receive:
    """Hand on so many bytes of a body that did not say how long it is; reading on fails with 413."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_BYTES_MAX:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the form is too large")
        return message

    return limited


def _with_headers(scope: Scope, send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in ALWAYS.items():
                headers.setdefault(name, value)
            if scope["scheme"] == "https":
                headers.setdefault("Strict-Transport-Security", _STRICT)
        await send(message)

    return answer


def _origin(home: str) -> str:
    parts = urlsplit(home)
    return f"{parts.scheme}://{parts.netloc}"
