"""Search referrals for support: by the beginning of their id, or by a referrer, customer or order."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting import shape
from referral_rewards.reporting.referrals.listing import NOT_STARTED
from referral_rewards.reporting.shape import Count, Instant, Shape

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Search:
    """Filters of the search; empty means any. ``after`` is the last id of the page before."""

    q: str = ""
    status: str = ""
    program: str = ""
    after: str = ""


class ReferralFound(Shape):
    """A search result; ``zone`` is the time zone of its program."""

    referral: str
    program: str | None
    referrer: str | None
    status: ReferralStatus | None
    reason: str | None
    deadline: Instant | None
    order: str | None
    store: str | None
    net_minor: int | None
    currency: str | None
    zone: str | None


async def search(connection: AsyncConnection, wanted: Search) -> tuple[list[ReferralFound], str | None]:
    """A page of referrals by their ids, and what `after` is for the next one, or None at the end."""
    rows = (await connection.execute(_FOUND, _asked(wanted))).all()
    found = [ReferralFound.model_validate(row) for row in rows[:PAGE]]
    return found, found[-1].referral if len(rows) > PAGE else None


async def count(connection: AsyncConnection, wanted: Search) -> Count:
    """How many referrals there are on all pages."""
    return await shape.count(connection, _FOUND, {**_asked(wanted), "after": ""})


def _asked(wanted: Search) -> dict[str, Any]:
    return {
        "q": wanted.q,
        "beyond": wanted.q + "\U0010ffff",
        "status": wanted.status,
        "program": wanted.program,
        "after": wanted.after,
        "limit": PAGE + 1,
        "not_started": NOT_STARTED,
    }


# Many ids may share the searched prefix: reading in the order of ids, only one page of them is read.
_FOUND: Final = text("""
WITH found AS (
    (SELECT id FROM referral
     WHERE id >= :q AND id < :beyond AND id > :after AND (merged_into IS NULL OR status IS NOT NULL)
       AND (CAST(:status AS text) = '' OR status = :status) AND (CAST(:program AS text) = '' OR program = :program)
     ORDER BY id LIMIT :limit)
    UNION SELECT id FROM referral WHERE CAST(:q AS text) <> '' AND referrer = :q
    UNION SELECT id FROM referral WHERE CAST(:q AS text) <> '' AND order_id = :q
    UNION SELECT referral_id FROM referral_key WHERE CAST(:q AS text) <> '' AND key = 'customer:' || CAST(:q AS text)
    UNION SELECT referral_id FROM referral_key WHERE CAST(:q AS text) <> '' AND key = 'order:' || CAST(:q AS text)
)
SELECT r.id AS referral, r.program, r.referrer, r.status,
       coalesce(r.parked, r.reason, CASE WHEN r.status IS NULL THEN :not_started END) AS reason,
       r.deadline, r.order_id AS order, r.stores[1] AS store, r.net_minor, r.currency, p.zone
FROM found JOIN referral r USING (id) LEFT JOIN LATERAL (
    SELECT terms->>'timezone' AS zone FROM program_version v WHERE v.program = r.program AND v.version = r.version
) AS p ON true
WHERE r.id > :after AND (r.merged_into IS NULL OR r.status IS NOT NULL)
  AND (CAST(:status AS text) = '' OR r.status = :status) AND (CAST(:program AS text) = '' OR r.program = :program)
ORDER BY r.id LIMIT :limit
""")
