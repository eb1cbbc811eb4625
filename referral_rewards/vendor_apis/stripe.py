"""Stripe's events, as it tells them by webhook: https://docs.stripe.com/api/events/list.

It keeps them for thirty days and lists the newest first. Each is of the version of the API that its account had then.
A restricted key needs to read events, and what they are about.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from referral_rewards.vendor_apis.asking import Asking, listed
from referral_rewards.vendor_apis.port import NotTold, Page, Trouble
from referral_rewards.vendors.port import Told
from referral_rewards.vendors.stripe import TYPES
from referral_rewards.vendors.values import as_told

#: The version that single objects are asked in.
VERSION: Final = "2026-10-28.endive"
#: A quarter of what Stripe lets a live account ask; all that it lets a sandbox.
PER_SECOND: Final = 25.0
PAGE: Final = 100


class StripeApi:
    """Stripe, for one account, or as a platform for each of its connected accounts that the source names."""

    def __init__(self, asking: Asking, accounts: Sequence[str] = ()) -> None:
        self._asking = asking
        self._accounts: Sequence[str | None] = sorted(accounts) or (None,)

    async def page(self, since: datetime, place: str | None) -> Page:
        """See `VendorApi.page`."""
        number, after = json.loads(place) if place is not None else (0, None)
        account = self._accounts[number]
        asked = {"limit": PAGE, "created[gte]": int(since.timestamp()), "types[]": list(TYPES)}
        answer = await self._asking.ask(
            "GET", "v1/events", asked if after is None else {**asked, "starting_after": after}, headers=_as(account)
        )
        if answer is None:
            raise NotTold(Trouble.REFUSED, "it answered 404 to a list of its events")
        events = listed(answer.body, "data")
        return Page(tuple(_told(each, account) for each in events), self._next(number, answer.body, events), answer.at)

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, account: str | None = None
    ) -> Mapping[str, Any] | None:
        """See `VendorApi.get`; ``path`` as ``charges/ch_1``, of a connected account if one is named."""
        answer = await self._asking.ask("GET", f"v1/{path}", query, headers=_as(account))
        return None if answer is None else dict(answer.body)

    def _next(self, number: int, body: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str | None:
        has_more = body.get("has_more")
        if not isinstance(has_more, bool) or (has_more and not events):
            # Taken for the last page, it would end the window: what is on the others would never be asked for.
            raise NotTold(Trouble.BROKEN, "its answer does not say whether there is more")
        if has_more:
            last = events[-1].get("id")
            if not isinstance(last, str):
                raise NotTold(Trouble.BROKEN, "its answer has an event without an id")
            return json.dumps([number, last])
        return json.dumps([number + 1, None]) if number + 1 < len(self._accounts) else None


def headers(key: str) -> Mapping[str, str]:
    """Return what each request bears."""
    return {"Authorization": f"Bearer {key}", "Stripe-Version": VERSION}


def _as(account: str | None) -> Mapping[str, str]:
    return {} if account is None else {"Stripe-Account": account}


def _told(event: Mapping[str, Any], account: str | None) -> Told:
    """Return an event as its webhook tells it: that of a connected account names the account."""
    named = {} if account is None or event.get("account") else {"account": account}
    return Told(as_told({**event, **named}))
