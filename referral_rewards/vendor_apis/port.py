"""The interface of a vendor's API, as far as it is asked: what happened since an instant, page by page, and one object.

Nothing is retried and nothing is waited for here: who asks knows how long it can wait.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from referral_rewards.vendors.port import Told


class Trouble(StrEnum):
    """Why a vendor did not answer as we need it."""

    DENIED = "denied"  # 401, 403: the key is wrong, or may not read this
    LIMITED = "limited"  # 429: we ask too often
    REFUSED = "refused"  # any other 4xx: what we asked is wrong
    SILENT = "silent"  # no whole answer in time, or 5xx
    BROKEN = "broken"  # an answer that is not of the documented form


class NotTold(Exception):
    """A vendor did not answer as we need it. The message is one sentence for a person, with nothing personal in it.

    ``after``: how long it asks us to wait, if it says so.
    """

    def __init__(self, trouble: Trouble, why: str, after: timedelta | None = None) -> None:
        self.trouble, self.after = trouble, after
        super().__init__(why)


class Page(NamedTuple):
    """One page of what happened: events in the form of the vendor's webhooks, which its translator reads.

    ``next`` is the place of the next page, None after the last one. ``at`` is the vendor's clock, if it tells it.
    """

    events: tuple[Told, ...]
    next: str | None
    at: datetime | None


class VendorApi(Protocol):
    """The API of one source."""

    async def page(self, since: datetime, place: str | None) -> Page:
        """Return a page of what happened since an instant of the vendor's clock; the first one without a ``place``.

        What happens while pages are read may be on none, or on two: it is on one of the next time that begins before
        it. What was there all the time is never left out.

        Raises:
            NotTold: if there is no such page to be had now.
        """
        ...

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any] | None:
        """Return the object at a path of the vendor's API, None if it has none. Numbers with a fraction are texts.

        Raises:
            NotTold: if it does not answer.
        """
        ...
