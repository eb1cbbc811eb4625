"""The audit log, filtered by actor, act or subject, in pages."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.reporting import shape
from referral_rewards.reporting.shape import Count, Instant, Shape


class Event(Shape):
    """One act: who did it (`nobody`: someone who was not signed in), what (noun.verb), and to what."""

    number: int
    at: Instant
    actor: str
    act: str
    subject: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of the audit log: actor, act (``user`` matches every ``user.…``), subject, and only entries with a
    number ``before`` this one."""

    actor: str | None = None
    act: str | None = None
    subject: str | None = None
    before: int | None = None
    limit: int = 100


async def listing(connection: AsyncConnection, wanted: Wanted) -> list[Event]:
    """Who did what, newest first."""
    statement, asked = _asked(wanted)
    return [Event.model_validate(row) for row in await connection.execute(statement, asked)]


async def count(connection: AsyncConnection, wanted: Wanted) -> Count:
    """How many such entries there are, whatever came ``before``."""
    statement, asked = _asked(replace(wanted, before=None))
    return await shape.count(connection, statement, asked)


def _asked(wanted: Wanted) -> tuple[TextClause, dict[str, Any]]:
    conditions = ["true"]
    if wanted.actor:
        conditions.append("actor = :actor")
    if wanted.act:
        conditions.append("act = :act" if "." in wanted.act else "starts_with(act, :act || '.')")
    if wanted.subject:
        conditions.append("subject = :subject")
    if wanted.before is not None:
        conditions.append("id < :before")
    # The statement holds only the filters in use, so that each can use its index.
    statement = _LISTING.format(conditions=" AND ".join(conditions))
    asked = {"actor": wanted.actor, "act": wanted.act, "subject": wanted.subject, "before": wanted.before}
    given = {name: value for name, value in asked.items() if f":{name}" in statement}
    return text(statement), {**given, "limit": wanted.limit}


_LISTING: Final = """
SELECT id AS number, at, actor, act, subject, details FROM audit_event WHERE {conditions} ORDER BY id DESC LIMIT :limit
"""
