"""A scripted source behind real HTTP on loopback, in the form that docs/guides/sources.md asks of a real one."""

import asyncio
from urllib.parse import unquote

from referral_rewards.local.fake_source import FakeSource, body_of
from referral_rewards.loopback import App, Message, Send, reply, served

__all__ = ["App", "as_app", "reply", "served"]


def as_app(source: FakeSource, token: str | None = None) -> App:
    """What the source knows, over HTTP; 401 without the ``token``, if one is given, and 503 while it is down."""
    known = {"orders": source.of_order, "customers": source.of_customer}

    async def app(scope: Message, receive: object, send: Send) -> None:
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


def _steps(raw_path: bytes) -> tuple[str, str]:
    """The last two steps of a path, decoded; empty at the root."""
    before, _, last = raw_path.decode("ascii").rpartition("/")
    return unquote(before.rpartition("/")[2]), unquote(last)
