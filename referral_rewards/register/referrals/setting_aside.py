"""Record that somebody set an exception of the queue aside."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.decisions.setting_aside import SettingAside, check_entry
from referral_rewards.domain.errors import NotFound
from referral_rewards.register import audit, typed_rows
from referral_rewards.register.queue import strays
from referral_rewards.register.referrals import rows as referrals


async def record(connection: AsyncConnection, asked: SettingAside, by: str, at: datetime) -> UUID:
    """Record it, remove the entry from the queue, and return the record's id.

    Raises:
        NotFound: if the queue has no such entry, or has it no more.
        ActRefused: if a decision ends it, or more was told of it since it was seen.
    """
    if asked.referral:
        await referrals.hold(connection, asked.referral)
    key = {"referral": asked.referral, "exception": asked.exception, "subject": asked.subject}
    found = await typed_rows.read_one(connection, _Entry, _ENTRY, key)
    if found is None:
        raise NotFound("queue entry", asked.name)
    check_entry(asked, closed=found.closed, told=found.told)
    new = uuid4()
    note = personal.kept(connection, new, {"note": asked.note})._asdict()
    await connection.execute(_RECORD, {**key, **note, "seen": asked.seen, "by": by, "at": at})
    if not asked.referral:
        await strays.remove(connection, asked.exception, asked.subject)
    await audit.note(connection, actor=by, act="exception.set_aside", subject=asked.name, at=at)
    return new


class _Entry(NamedTuple):
    closed: bool
    told: int


_ENTRY: Final = text(f"""
SELECT r.closed_at IS NOT NULL AS closed, coalesce(r.facts_version, its.strays) AS told
FROM queue_entry q LEFT JOIN referral r ON r.id = q.referral_id CROSS JOIN LATERAL ({strays.COUNTED}) AS its
WHERE q.referral_id = :referral AND q.exception = :exception AND q.subject = :subject FOR UPDATE OF q
""")  # noqa: S608 (a query of ours)

# The entry of a referral leaves with the update of its queue at the commit.
_RECORD: Final = text("""
WITH noted AS (
    INSERT INTO personal_data (subject_id, sealed, commitment) VALUES (:subject_id, :sealed, :commitment)
)
INSERT INTO set_aside (id, referral_id, exception, subject, seen, username, at)
VALUES (:subject_id, :referral, :exception, :subject, :seen, :by, :at)
""")
