"""How far a source was pulled: pure.

A pull reads a *window*, all that happened since an instant, page by page. Only when its last page is kept does the next
window begin, and it begins the overlap before this one was opened. So whatever happens or is listed late while pages
are read is asked for again, and a pull that breaks off anywhere goes on where it was.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from referral_rewards.vendors.access import KEEPS


@dataclass(frozen=True, slots=True)
class Cursor:
    """The window that is read, or will be: what happened from ``since`` on, by the vendor's clock.

    ``opened_at``: when its first page came, None before that. ``place``: its next page, None for the first.
    """

    since: datetime
    opened_at: datetime | None = None
    place: str | None = None


def first(now: datetime, overlap: timedelta) -> Cursor:
    """Return the cursor of a source that was never pulled. What is older is asked for by a person."""
    return Cursor(now - overlap)


def after_page(
    cursor: Cursor, following: str | None, vendors_clock: datetime | None, now: datetime, overlap: timedelta
) -> Cursor:
    """Return the cursor once a page is kept; ``following`` is the place of the next one, None after the last.

    Where the vendor's clock and ours differ, the earlier one counts.
    """
    opened_at = cursor.opened_at or min(now, vendors_clock or now)
    if following is not None:
        return replace(cursor, opened_at=opened_at, place=following)
    return Cursor(max(cursor.since, opened_at - overlap))


def from_its_beginning(cursor: Cursor) -> Cursor:
    """Return the cursor at the first page of its window: the vendor does not know the place any more."""
    return Cursor(cursor.since)


def kept_since(vendor: str, now: datetime) -> datetime | None:
    """Return since when a vendor still tells what happened; None if it forgets nothing."""
    keeps = KEEPS.get(vendor)
    return None if keeps is None else now - keeps
