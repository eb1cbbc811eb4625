"""Refuses bodies that are too large before they fill the memory."""

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX: Final = 5_000_000


class BodyLimit:
    """Counts what comes in; over the limit reading the body fails with 413."""

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

        await self._app(scope, counted if scope["type"] == "http" else receive, send)
