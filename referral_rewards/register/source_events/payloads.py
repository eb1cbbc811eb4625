"""What a source sent, byte by byte: sealed and opened, bound to its event."""

import json
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.personal import keys_of
from referral_rewards.vendors.port import Told


def sealed(connection: AsyncConnection, event: UUID, told: Told) -> bytes:
    """Return what is stored of an event: a line with its headers and its URL in JSON, then the body as it came."""
    head = json.dumps({"headers": dict(told.headers), "url": told.url})
    return keys_of(connection).seal(head.encode() + b"\n" + told.body, of=event.bytes)


def opened(connection: AsyncConnection, event: UUID, content: bytes) -> Told:
    """Return an event as its vendor told it.

    Raises:
        SealBroken: if it can't be opened.
    """
    head, _, body = keys_of(connection).open(content, of=event.bytes).partition(b"\n")
    known = json.loads(head)
    return Told(body, known["headers"], known["url"])
