"""Stored messages: planned together with their cause, claimed by the sender, and settled with their outcome.

Each occasion is announced once: a message's id follows from its occasion, recipient and template.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards import personal
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.register import typed_rows
from referral_rewards.register.locks import dump

_NAMESPACE: Final = UUID("6f1c2b7e-0e4c-5a4b-9b52-5d2f0c9e7a31")


class Audience(StrEnum):
    """Who receives a message. ``ACCOUNT``: a user, about a change of their own account and about no referral."""

    REFERRER = "referrer"
    REFEREE = "referee"
    APPROVERS = "approvers"
    WEBHOOK = "webhook"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A message to be sent by email.

    With ``suppressed`` (the reason) it is only recorded. With ``only_after`` it is planned only if a message of that
    template was or will be sent to the same side of the referral.
    """

    referral: str
    program: str
    template: str
    audience: Audience
    recipient: str
    occasion: str
    due_at: datetime
    suppressed: str | None = None
    only_after: str | None = None

    @property
    def id(self) -> UUID:
        return uuid5(
            _NAMESPACE, "\n".join((self.referral, self.occasion, self.template, self.audience, self.recipient))
        )


async def plan(connection: AsyncConnection, planned: Iterable[Planned], at: datetime) -> None:
    """Store messages in the transaction that causes them. Repeating the call changes nothing."""
    rows = [
        {
            "id": str(each.id),
            "referral_id": each.referral,
            "program": each.program,
            "template": each.template,
            "audience": each.audience,
            "recipient": each.recipient,
            "occasion": each.occasion,
            "state": NoticeState.SUPPRESSED if each.suppressed else NoticeState.WAITING,
            "why": each.suppressed,
            "due_at": None if each.suppressed else each.due_at.isoformat(),
            "settled_at": at.isoformat() if each.suppressed else None,
            "only_after": each.only_after,
        }
        for each in planned
    ]
    if rows:
        await connection.execute(_PLAN, {"rows": dump(rows), "at": at})


class Notice(NamedTuple):
    """A claimed message, as `models.Notice` describes it."""

    id: UUID
    referral_id: str
    program: str
    template: str
    audience: str
    recipient: str
    channel: str
    occasion: str
    planned_at: datetime
    attempts: int


async def claim(connection: AsyncConnection, now: datetime, *, lease: timedelta, limit: int) -> Sequence[Notice]:
    """Claim due messages that no other sender holds. They are the caller's for ``lease`` and then due again.

    The caller commits before it sends anything, so a crash only delays the message by the lease.
    """
    asked = {"now": now, "until": now + lease, "limit": limit}
    return await typed_rows.read(connection, Notice, _CLAIM, asked)


async def settle(
    connection: AsyncConnection, notice: Notice, state: NoticeState, why: str | None, at: datetime
) -> bool:
    """Record the final outcome of a message; False if its lease expired and another sender has claimed it."""
    asked = {"id": notice.id, "attempts": notice.attempts, "state": state, "why": why, "at": at}
    return (await connection.execute(_SETTLE, asked)).scalar_one_or_none() is not None


async def put_off(
    connection: AsyncConnection, notice: Notice, until: datetime, why: str | None, *, state: NoticeState, tried: bool
) -> bool:
    """Postpone a message. The attempt counts only if it was ``tried``. Returns False as in `settle`."""
    asked = {"id": notice.id, "attempts": notice.attempts, "until": until, "why": why, "state": state}
    asked["counted"] = notice.attempts if tried else notice.attempts - 1
    return (await connection.execute(_PUT_OFF, asked)).scalar_one_or_none() is not None


async def keep(connection: AsyncConnection, notice: UUID, body: Mapping[str, Any]) -> None:
    """Store a message's text and address as personal data, where they can be erased without losing the record."""
    await connection.execute(_KEEP, personal.kept(connection, notice, body)._asdict())


_KEEP: Final = text("""
INSERT INTO personal_data (subject_id, sealed, commitment) VALUES (:subject_id, :sealed, :commitment)
ON CONFLICT DO NOTHING
""")

_PLAN: Final = statement(
    """
INSERT INTO notice (id, referral_id, program, template, audience, recipient, channel, occasion, planned_at, state, why,
                    attempts, due_at, settled_at)
SELECT n.id, n.referral_id, n.program, n.template, n.audience, n.recipient, 'email', n.occasion,
       CAST(:at AS timestamptz), n.state, n.why, 0, n.due_at, n.settled_at
FROM json_to_recordset(CAST(:rows AS json)) AS n(
    id uuid, referral_id text, program text, template text, audience text, recipient text, occasion text, state text,
    why text, due_at timestamptz, settled_at timestamptz, only_after text)
WHERE n.only_after IS NULL OR EXISTS (
    SELECT 1 FROM notice told
    WHERE told.referral_id = n.referral_id AND told.template = n.only_after AND told.audience = n.audience
      AND told.occasion = n.occasion AND told.state <> :suppressed)
ON CONFLICT DO NOTHING
""",
    suppressed=NoticeState.SUPPRESSED,
)

_CLAIM: Final = text("""
WITH held AS MATERIALIZED (
    SELECT id FROM notice WHERE due_at <= CAST(:now AS timestamptz) ORDER BY due_at
    LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE notice SET attempts = attempts + 1, due_at = CAST(:until AS timestamptz)
WHERE id IN (SELECT id FROM held) RETURNING *
""")

_SETTLE: Final = text("""
UPDATE notice SET state = :state, why = :why, due_at = NULL, settled_at = :at
WHERE id = :id AND attempts = :attempts AND due_at IS NOT NULL RETURNING id
""")

_PUT_OFF: Final = text("""
UPDATE notice SET state = :state, why = :why, due_at = :until, attempts = :counted
WHERE id = :id AND attempts = :attempts AND due_at IS NOT NULL RETURNING id
""")
