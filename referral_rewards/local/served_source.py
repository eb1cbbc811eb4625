"""Serves a scripted source over HTTP on loopback, in the form that docs/guides/sources.md requires of a real one."""

import asyncio
from urllib.parse import unquote

from referral_rewards.local.fake_source import FakeSource, body_of
from referral_rewards.loopback import App, Message, Send, reply, served

__all__ = ["App", "as_app", "reply", "served"]


def as_app(source: FakeSource, token: str | None = None) -> App:
    """Return the source as an ASGI application. It answers 401 without the ``token``, if one is set, and 503 while
    down."""
    known = {"orders": source.of_order, "customers": source.of_customer}

    async def app(scope: Message, receive: object, send: Send) -> None:
        # Use the raw path: in a decoded one, a slash within an id looks like a separator.
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


def _steps(raw_path: bytes) -> tuple[str, str]:
    """Return the last two segments of a path, decoded; empty at the root."""
    before, _, last = raw_path.decode("ascii").rpartition("/")
    return unquote(before.rpartition("/")[2]), unquote(last)
