"""The list of referrals: by their ids or by when they began, and found by referrer, customer or order."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import typed_rows
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.reading import Given, Listing, Order, Totals
from referral_rewards.reporting.lists.sheets import Sheet, amount
from referral_rewards.reporting.referrals.listing import (
    BESIDE,
    COLUMNS,
    NOT_STARTED,
    ListedRow,
    ReferralInBrief,
    in_brief,
)
from referral_rewards.reporting.shape import Instant, Shape

#: How many ids that begin as was typed are looked at.
SEARCHED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wanted(Asked):
    """Filters of the list; None means any. Days are those on which referrals began. ``q`` is how an id begins, or the
    whole id of a referrer, a customer or an order."""

    program: str | None = None
    status: ReferralStatus | None = None
    q: str | None = None


class ReferralFound(Shape):
    """A referral in a list for people."""

    referral: str
    program: str | None
    version: int | None
    referrer: str | None
    channel: str | None
    status: ReferralStatus | None
    reason: str | None
    began_at: Instant
    deadline: Instant | None
    order: str | None
    store: str | None
    net_minor: int | None
    currency: str | None


async def briefly(connection: AsyncConnection, wanted: Wanted) -> list[ReferralInBrief]:
    """Return a page of referrals in the form of `referrals list --json`, sorted by id unless another order is asked
    for."""
    statement, asked = LISTING.page(COLUMNS, BESIDE, wanted, _given(wanted))
    return [in_brief(row) for row in await typed_rows.read(connection, ListedRow, statement, asked)]


async def page(connection: AsyncConnection, wanted: Wanted) -> list[ReferralFound]:
    """Return a page of referrals for people, in the same order."""
    statement, asked = LISTING.page(_FOUND, "", wanted, _given(wanted))
    found = await connection.execute(statement, {**asked, "not_started": NOT_STARTED})
    return [ReferralFound.model_validate(row) for row in found]


async def totals(connection: AsyncConnection, wanted: Wanted) -> Totals:
    """Return how many referrals match, and what their conversions come to, net of what was reversed."""
    return await LISTING.totals(connection, wanted, _given(wanted))


def _given(wanted: Wanted) -> Given:
    return {"program": wanted.program, "status": wanted.status, "q": wanted.q}


_FOUND: Final = """
r.id AS referral, r.program, r.version, r.referrer, r.channel, r.status, r.began_at,
coalesce(r.parked, r.reason, CASE WHEN r.status IS NULL THEN :not_started END) AS reason,
r.deadline, r.order_id AS order, r.stores[1] AS store, r.net_minor, r.currency
"""

LISTING: Final = Listing(
    found="referral r",
    id="r.id",
    id_type="text",
    dated="r.began_at",
    # A request merged into a tracked referral is evidence there and not listed, unless it was once judged as its own.
    always="(r.merged_into IS NULL OR r.status IS NOT NULL)",
    # Whatever begins with a word stands before that word with the highest character behind it.
    filters={
        "program": "r.program = :program",
        "status": "r.status = :status",
        "q": f"""r.id IN (
            (SELECT id FROM referral WHERE id >= :q AND id < :q || chr(1114111) ORDER BY id LIMIT {SEARCHED_MAX})
            UNION SELECT id FROM referral WHERE referrer = :q
            UNION SELECT id FROM referral WHERE order_id = :q
            UNION SELECT referral_id FROM referral_key WHERE key = 'customer:' || CAST(:q AS text)
            UNION SELECT referral_id FROM referral_key WHERE key = 'order:' || CAST(:q AS text))""",  # noqa: S608
    },
    orders={
        "id": Order(("r.id",)),
        "newest": Order(("r.began_at", "r.id"), down=True),
        "oldest": Order(("r.began_at", "r.id")),
    },
    currency="r.currency",
    sums={"net": "coalesce(r.net_minor, 0)"},
)

REFERRALS: Final[Sheet[Wanted, ReferralFound]] = Sheet(
    name="referrals",
    page=page,
    totals=totals,
    place=lambda row: row.referral,
    columns={
        "referral": lambda row: row.referral,
        "program": lambda row: row.program,
        "version": lambda row: row.version,
        "referrer": lambda row: row.referrer,
        "channel": lambda row: row.channel,
        "status": lambda row: row.status,
        "reason": lambda row: row.reason,
        "began_at": lambda row: row.began_at,
        "deadline": lambda row: row.deadline,
        "order": lambda row: row.order,
        "store": lambda row: row.store,
        "net": lambda row: amount(row.net_minor, row.currency),
        "currency": lambda row: row.currency,
    },
)

BRIEFLY: Final[Sheet[Wanted, ReferralInBrief]] = Sheet(
    name="referrals", page=briefly, totals=totals, place=lambda row: row.referral, columns={}
)
