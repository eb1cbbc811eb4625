"""The record of who did what, when: sign-ins, people, tokens, programs, decisions. Append-only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, text
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the record is wanted: by whom, which acts (``user`` is every ``user.…``), on what; those that came
    ``before`` the one of that number."""

    actor: str | None = None
    act: str | None = None
    subject: str | None = None
    before: int | None = None
    limit: int = 100


async def listing(connection: AsyncConnection, wanted: Wanted) -> Sequence[Any]:
    """Who did what, newest first: id, at, actor, act, subject, details."""
    statement, given = _asked(wanted)
    return (await connection.execute(text(statement), given)).all()


async def count(connection: AsyncConnection, wanted: Wanted) -> int:
    """How many such entries there are, whatever came ``before``; no more than ``limit`` are counted."""
    statement, given = _asked(replace(wanted, before=None))
    return int((await connection.execute(text(f"SELECT count(*) FROM ({statement}) AS found"), given)).scalar_one())  # noqa: S608 (ours)


def _asked(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    conditions = ["true"]
    if wanted.actor:
        conditions.append("actor = :actor")
    if wanted.act:
        conditions.append("act = :act" if "." in wanted.act else "starts_with(act, :act || '.')")
    if wanted.subject:
        conditions.append("subject = :subject")
    if wanted.before is not None:
        conditions.append("id < :before")
    # Only what is asked for stands in the statement, so that each filter finds its index.
    statement = _LISTING.format(conditions=" AND ".join(conditions))
    asked = {"actor": wanted.actor, "act": wanted.act, "subject": wanted.subject, "before": wanted.before}
    given = {name: value for name, value in asked.items() if f":{name}" in statement}
    return statement, {**given, "limit": wanted.limit}


_LISTING: Final = (
    "SELECT id, at, actor, act, subject, details FROM audit_event WHERE {conditions} ORDER BY id DESC LIMIT :limit"
)
