"""Shopify's orders, in the form of its webhooks: https://shopify.dev/docs/api/admin-rest/latest/resources/order.

The REST Admin API is asked and not the GraphQL one, because an order of it is what a webhook tells, field by field: the
same translator reads both, and makes the same facts. Its version is pinned; Shopify answers an old one by the oldest
that it still has. The token needs `read_orders`, and `read_all_orders` for what is older than sixty days.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from referral_rewards.vendor_apis.asking import Answer, Asking, listed
from referral_rewards.vendor_apis.port import NotTold, Page, Trouble
from referral_rewards.vendors.port import Told
from referral_rewards.vendors.reading import part
from referral_rewards.vendors.shopify import EVENT_IDS, PULLED, SHOP, TOPIC
from referral_rewards.vendors.values import as_told, name

VERSION: Final = "2026-10"
#: What Shopify lets the app of a shop on its smallest plan ask for long.
PER_SECOND: Final = 2.0
PAGE: Final = 100
_DISPUTES: Final = "query($id: ID!) { order(id: $id) { disputes { id status } } }"


class ShopifyApi:
    """The orders of one shop."""

    def __init__(self, asking: Asking, shop: str) -> None:
        self._asking, self._shop = asking, shop

    async def page(self, since: datetime, place: str | None) -> Page:
        """See `VendorApi.page`."""
        first = {"status": "any", "updated_at_min": since.isoformat(timespec="seconds")}
        asked = first if place is None else {"page_info": place}
        answer = await self._asking.ask("GET", f"admin/api/{VERSION}/orders.json", {**asked, "limit": PAGE})
        if answer is None:
            raise NotTold(Trouble.REFUSED, "it answered 404 to a list of its orders: is the shop right?")
        orders = listed(answer.body, "orders")
        return Page(tuple(self.told(each) for each in orders), _next(answer), answer.at)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any] | None:
        """See `VendorApi.get`; ``path`` as ``orders/5123.json``."""
        answer = await self._asking.ask("GET", f"admin/api/{VERSION}/{path}", query)
        return None if answer is None else dict(answer.body)

    async def disputes(self, order: str) -> Mapping[str, str]:
        """Return the states of an order's disputes by their ids. `read_orders` is right enough for that.

        Raises:
            NotTold: if it does not answer.
        """
        asked = {"query": _DISPUTES, "variables": {"id": f"gid://shopify/Order/{order}"}}
        answer = await self._asking.ask("POST", f"admin/api/{VERSION}/graphql.json", body=asked)
        if answer is None or part(answer.body, "errors") is not None:
            raise NotTold(Trouble.DENIED, "it does not tell of an order's disputes: may its token read orders?")
        found = listed(part(answer.body, "data", "order") or {"disputes": []}, "disputes")
        return {(name(each, "id") or "").rpartition("/")[2]: (name(each, "status") or "").lower() for each in found}

    def told(self, order: Mapping[str, Any]) -> Told:
        """Return the state of an order as an event, the same for the same state."""
        its, at = name(order, "id"), name(order, "updated_at")
        if its is None or at is None:
            raise NotTold(Trouble.BROKEN, "its answer has an order without id or updated_at")
        return Told(as_told(order), {TOPIC: PULLED, SHOP: self._shop, EVENT_IDS[0]: f"{its}/{at}"})


def headers(key: str) -> Mapping[str, str]:
    """Return what each request bears."""
    return {"X-Shopify-Access-Token": key}


def _next(answer: Answer) -> str | None:
    """Return the place of the next page. The address that the answer names for it is not followed."""
    try:
        (address,) = (link["url"] for link in _links(answer) if link.get("rel") == "next")
        (found,) = parse_qs(urlsplit(address).query)["page_info"]
    except (ValueError, KeyError):
        if 'rel="next"' in answer.headers.get("link", ""):
            raise NotTold(Trouble.BROKEN, "its answer names no next page that can be asked for") from None
        return None
    return found


def _links(answer: Answer) -> list[dict[str, str]]:
    told = answer.headers.get("link", "")
    return list(httpx.Response(200, headers={"link": told}).links.values()) if told else []
