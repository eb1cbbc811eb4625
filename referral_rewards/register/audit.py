"""The append-only audit log: who did what and when, for sign-ins, people, tokens, programs, decisions and looks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import AuditEvent

#: The actor of an attempt by someone who is not signed in.
NOBODY: Final = "nobody"
#: The actor of what an OpenID provider says, and of what a worker does by itself.
PROVIDER: Final = "provider"
WORKER: Final = "worker"
#: Names that the record gives a meaning to: as a user's they would make a person's acts look like ours.
RESERVED: Final = frozenset({NOBODY, PROVIDER, WORKER, "unknown", "example"})


async def note(
    connection: AsyncConnection, /, *, actor: str, act: str, subject: str, at: datetime, **details: Any
) -> None:
    """Record an act in the caller's transaction.

    ``act`` has the form noun.verb; ``subject`` is what it was done to. Both name people only by id.
    """
    await connection.execute(insert(AuditEvent).values(at=at, actor=actor, act=act, subject=subject, details=details))


async def note_each(
    connection: AsyncConnection, *, actor: str, act: str, subjects: Sequence[str], at: datetime, **details: Any
) -> None:
    """Record the same act on each of these subjects, as `note` does, in one statement."""
    rows = [{"at": at, "actor": actor, "act": act, "subject": each, "details": details} for each in subjects]
    if rows:
        await connection.execute(insert(AuditEvent).values(rows))
