"""Find the claims before and after one in the queue, in the order of the user's list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.waiting import Sort, Waits
from referral_rewards.register import typed_rows
from referral_rewards.reporting.queue.conditions import Asking
from referral_rewards.reporting.queue.filters import Filters, cursor
from referral_rewards.reporting.queue.search import search

#: The list for a user who did not come from one: every claim that waits for approval, oldest first.
EVERY_CLAIM: Final = Filters(exception=Waits.APPROVAL)

#: The reverse of each order that has one.
_BACKWARDS: Final[Mapping[Sort, Sort]] = {
    Sort.OLDEST: Sort.NEWEST,
    Sort.NEWEST: Sort.OLDEST,
    Sort.AMOUNT_HIGH: Sort.AMOUNT_LOW,
    Sort.AMOUNT_LOW: Sort.AMOUNT_HIGH,
}


class Neighbours(NamedTuple):
    """The waiting referrals on either side; None at an end of the list, or if the order has no reverse."""

    before: str | None
    after: str | None


async def neighbours(
    connection: AsyncConnection, referral: str, filters: Filters, asking: Asking, now: datetime
) -> Neighbours:
    """Return a referral's neighbours in a list. If it is no longer listed, ``after`` is the first of the list."""
    row = await typed_rows.read_one(connection, _Listed, _PLACE, {"referral": referral})
    place = _place(row, filters.sort) if row is not None else None
    if place is None:
        return Neighbours(None, await _next(connection, referral, filters, asking, now))
    after = filters.model_copy(update={"after": cursor(filters.sort, place)})
    before = None
    if (back := _BACKWARDS.get(filters.sort)) is not None:
        backwards = filters.model_copy(update={"sort": back, "after": cursor(back, place)})
        before = await _next(connection, referral, backwards, asking, now)
    return Neighbours(before, await _next(connection, referral, after, asking, now))


async def _next(
    connection: AsyncConnection, referral: str, filters: Filters, asking: Asking, now: datetime
) -> str | None:
    """Return the next different referral. One referral may have several entries, and some entries have no referral."""
    found = await search(connection, filters.model_copy(update={"limit": _REASONS_MAX}), asking, now)
    return next((key[0] for key in found.keys if key[0] not in ("", referral)), None)


@dataclass(frozen=True, slots=True)
class _Listed:
    referral_id: str
    exception: str
    subject: str
    since: datetime
    remind_at: datetime | None
    currency: str | None
    amount_minor: int | None


def _place(row: _Listed, sort: Sort) -> tuple[object, ...] | None:
    """Return the place of an entry in a list of that order; None if the list does not contain it."""
    entry = (row.referral_id, row.exception, row.subject)
    if sort in (Sort.AMOUNT_HIGH, Sort.AMOUNT_LOW):
        return (row.currency, row.amount_minor, *entry) if row.currency and row.amount_minor else None
    if sort is Sort.DEADLINE:
        return (row.remind_at, *entry) if row.remind_at else None
    return (row.since, *entry)


_REASONS_MAX: Final = 5

_PLACE: Final = text("""
SELECT referral_id, exception, subject, since, remind_at, currency, amount_minor FROM queue_entry
WHERE referral_id = :referral ORDER BY exception <> 'approval', exception, subject LIMIT 1
""")
