"""The messages about a referral."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.register.notices.rows import Audience
from referral_rewards.reporting.shape import Instant, Shape


class MessageShown(Shape):
    """A message about a referral to one recipient, without the address. ``subject`` and ``text`` are null if it was not
    written yet, or was erased."""

    notice: UUID
    what: str
    to: Audience
    recipient: str
    channel: str
    planned_at: Instant
    state: NoticeState
    why: str | None
    attempts: int
    due_at: Instant | None
    settled_at: Instant | None
    subject: str | None
    text: str | None


#: More messages than any referral has, unless it is reopened many times.
_MAX: Final = 200


async def communication(connection: AsyncConnection, referral: str) -> tuple[MessageShown, ...]:
    """Return the messages, newest first."""
    rows = await connection.execute(_TOLD, {"referral": referral, "limit": _MAX})
    return tuple(_shown(connection, dict(row._mapping)) for row in rows)


def _shown(connection: AsyncConnection, row: Mapping[str, Any]) -> MessageShown:
    letter = personal.body_of(connection, row["notice"], row["sealed"]) or {}
    said = {"subject": letter.get("subject"), "text": letter.get("text")}
    return MessageShown.model_validate({name: each for name, each in row.items() if name != "sealed"} | said)


_TOLD: Final = text("""
SELECT n.id AS notice, n.template AS what, n.audience AS to, n.recipient, n.channel, n.planned_at, n.state, n.why,
       n.attempts, n.due_at, n.settled_at, p.sealed
FROM notice n LEFT JOIN personal_data p ON p.subject_id = n.id
WHERE n.referral_id = :referral ORDER BY n.planned_at DESC, n.template, n.audience, n.recipient LIMIT :limit
""")
