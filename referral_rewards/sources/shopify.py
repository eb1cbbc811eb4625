"""An order at Shopify: what it is worth, its refunds, whether it was cancelled, and its disputes.

https://shopify.dev/docs/api/admin-rest/latest/resources/order. The token needs `read_orders`, and `read_all_orders` for
orders older than sixty days. That an order is disputed `read_orders` shows; what is disputed, and since when, only
`read_shopify_payments_disputes`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals.versions import OnRecord
from referral_rewards.sources.asking import Unusable
from referral_rewards.sources.retrying import patiently
from referral_rewards.sources.vendor import Found
from referral_rewards.vendor_apis.port import NotTold, Trouble
from referral_rewards.vendor_apis.shopify import ShopifyApi
from referral_rewards.vendors.port import SourceMapping, Told
from referral_rewards.vendors.shopify import EVENT_IDS, SHOP, TOPIC
from referral_rewards.vendors.shopify_orders import is_renamed, name_of
from referral_rewards.vendors.values import as_told, name

_ORDERS: Final = "orders"
#: What the token has to let us read, and a list that shows it. A shop without Shopify Payments has no disputes: 404.
_PATHS: Final[Mapping[str, str]] = {_ORDERS: "orders.json", "disputes": "shopify_payments/disputes.json"}
_PAID: Final = frozenset({"paid", "partially_refunded", "refunded"})
_WON: Final = frozenset({"won", "prevented"})
_OWN_NAME: Final = re.compile(rf"{name_of('')}(\d+)")
NOT_PAID: Final = "it is not paid"
NOT_NAMED: Final = "It can't be asked about this order: no event of Shopify's linked its own id to it."
UNREAD: Final = "it is disputed, and our token may not read the dispute"


class ShopifyOrders:
    """The orders of one shop."""

    rights: Sequence[str] = tuple(_PATHS)

    def __init__(self, api: ShopifyApi, mapping: SourceMapping) -> None:
        self._api, self._mapping = api, mapping
        self._shop = next(iter(mapping.accounts), "")

    async def look(self, order: OrderName, on_record: OnRecord) -> Found | None:
        """See `Orders.look`."""
        its = order_id(order, on_record, self._mapping)
        if its is None:
            raise Unusable(NOT_NAMED)
        if not its.isdecimal():
            return None  # Shopify has only numbers
        answer = await patiently(self._api.get, f"orders/{its}.json")
        found = None if answer is None else answer.get("order")
        if not isinstance(found, Mapping):
            return None
        _need_the_same(found, its)
        cancelled = name(found, "cancelled_at") is not None
        lacks = None if cancelled or name(found, "financial_status") in _PAID else NOT_PAID
        disputes, unread = await self._disputes(its)
        told = (self._api.told(found), *map(self._dispute_told, disputes))
        return Found(told, lacks or unread)

    async def check(self, right: str) -> None:
        """See `Orders.check`."""
        query = {"limit": "1", "status": "any", "fields": "id"} if right == _ORDERS else None
        if await self._api.get(_PATHS[right], query) is None and right == _ORDERS:
            raise NotTold(Trouble.REFUSED, "it answered 404 to a list of its orders: is the shop right?")

    async def _disputes(self, order: str) -> tuple[list[Mapping[str, Any]], str | None]:
        """Return the disputes of an order, and why it does not count if one that matters may not be read."""
        found: list[Mapping[str, Any]] = []
        unread = None
        for its, state in (await patiently(self._api.disputes, order)).items():
            one = await self._dispute(its)
            if one is not None:
                found.append(one)
            elif state not in _WON:
                unread = UNREAD
        return found, unread

    async def _dispute(self, its: str) -> Mapping[str, Any] | None:
        try:
            answer = await patiently(self._api.get, f"shopify_payments/disputes/{its}.json")
        except NotTold as error:
            if error.trouble is Trouble.DENIED:
                return None
            raise
        found = None if answer is None else answer.get("dispute")
        if not isinstance(found, Mapping):
            return None
        _need_the_same(found, its)
        return found

    def _dispute_told(self, its: Mapping[str, Any]) -> Told:
        headers = {TOPIC: "disputes/update", SHOP: self._shop, EVENT_IDS[0]: f"asked/{name(its, 'id')}"}
        return Told(as_told(its), headers)


def _need_the_same(found: Mapping[str, Any], its: str) -> None:
    if name(found, "id") != its:
        raise Unusable("It was asked for one object and told of another one.")


def order_id(order: OrderName, on_record: OnRecord, mapping: SourceMapping) -> str | None:
    """Return Shopify's own id of an order: that of the facts, or the one that its events linked to the facts' name."""
    linked = [found[1] for each in on_record.names if (found := _OWN_NAME.fullmatch(each))]
    if linked:
        return linked[0]
    return None if is_renamed(mapping) else order.id
