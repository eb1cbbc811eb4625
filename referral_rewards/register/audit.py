"""The record of who did what, when: sign-ins, people, tokens, programs, decisions. Append-only."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import AuditEvent

#: The actor of what was tried by somebody who is not signed in.
NOBODY: Final = "nobody"


async def note(
    connection: AsyncConnection, *, actor: str, act: str, subject: str, at: datetime, **details: Any
) -> None:
    """Puts on record, in the caller's transaction, what somebody did: ``act`` is noun.verb, ``subject`` what it was
    done to. Neither names a person by anything but an id."""
    await connection.execute(insert(AuditEvent).values(at=at, actor=actor, act=act, subject=subject, details=details))
