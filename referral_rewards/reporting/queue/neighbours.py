"""The claims before and after one in the queue, in the order in which somebody looked it through."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.waiting import Sort, Waits
from referral_rewards.reporting.queue.filters import Filters, cursor
from referral_rewards.reporting.queue.search import Asking, search

#: What is walked through by whoever comes from no list: every claim that waits for approval, the oldest first.
EVERY_CLAIM: Final = Filters(exception=Waits.APPROVAL)

#: The orders that can be walked backwards.
_BACKWARDS: Final[Mapping[Sort, Sort]] = {
    Sort.OLDEST: Sort.NEWEST,
    Sort.NEWEST: Sort.OLDEST,
    Sort.AMOUNT_HIGH: Sort.AMOUNT_LOW,
    Sort.AMOUNT_LOW: Sort.AMOUNT_HIGH,
}


class Neighbours(NamedTuple):
    """Referrals that wait: None at either end of the list, or where it can't be walked that way."""

    before: str | None
    after: str | None


async def neighbours(
    connection: AsyncConnection, referral: str, filters: Filters, asking: Asking, now: datetime
) -> Neighbours:
    """What waits beside a referral in a list; of one that is not in it any more, what comes first comes after."""
    row = (await connection.execute(_PLACE, {"referral": referral})).one_or_none()
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
    """The first referral from there on that is another one: one may wait for several reasons at once, and some of what
    waits is no referral's."""
    found = await search(connection, filters.model_copy(update={"limit": _REASONS_MAX}), asking, now)
    return next((key[0] for key in found.keys if key[0] not in ("", referral)), None)


def _place(row: Any, sort: Sort) -> tuple[Any, ...] | None:
    """Where an entry stands in a list of that order; None if it does not stand in it."""
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
