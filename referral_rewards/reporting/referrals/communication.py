"""The communication history of a referral: what was told to whom, by which channel, and what came of it."""

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.reporting.plain_values import plain

#: More than any referral gives rise to, unless it is reopened over and over.
_MAX: Final = 200


async def communication(connection: AsyncConnection, referral: str) -> list[dict[str, Any]]:
    """The newest messages first. ``subject`` and ``text`` are None for what was not written, or was erased since; no
    address is among what is shown."""
    return [plain(row) for row in await connection.execute(_TOLD, {"referral": referral, "limit": _MAX})]


_TOLD: Final = text("""
SELECT n.id AS notice, n.template AS what, n.audience AS to, n.recipient, n.channel, n.planned_at, n.state, n.why,
       n.attempts, n.due_at, n.settled_at, p.body->>'subject' AS subject, p.body->>'text' AS text
FROM notice n LEFT JOIN personal_data p ON p.subject_id = n.id
WHERE n.referral_id = :referral ORDER BY n.planned_at DESC, n.template, n.audience, n.recipient LIMIT :limit
""")
