"""A deal at HubSpot: whether it is still won, and what it is worth.

https://developers.hubspot.com/docs/api-reference/crm-deals-v3/guide. The app needs `crm.objects.deals.read` and
`crm.objects.contacts.read`.
"""

from collections.abc import Sequence

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals.versions import OnRecord
from referral_rewards.sources.retrying import patiently
from referral_rewards.sources.vendor import Found
from referral_rewards.vendor_apis.hubspot import HubSpotApi
from referral_rewards.vendor_apis.port import NotTold, Trouble


class HubSpotDeals:
    """The deals of one account. An order is one of them by its number."""

    rights: Sequence[str] = ("deals", "contacts")

    def __init__(self, api: HubSpotApi) -> None:
        self._api = api

    async def look(self, order: OrderName, on_record: OnRecord) -> Found | None:
        """See `Orders.look`. A deal in any stage but a won one, or deleted, is worth nothing: its facts say so."""
        told = await patiently(self._api.deal, order.id)
        return None if told is None else Found((told,))

    async def check(self, right: str) -> None:
        """See `Orders.check`."""
        path = f"crm/v3/objects/{right}"
        if await self._api.get(path, {"limit": "1"}) is None:
            raise NotTold(Trouble.REFUSED, f"it answered 404 to {path}")
