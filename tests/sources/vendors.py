"""Vendors on loopback, over real HTTP: what each holds is scripted, object by object."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from pydantic import SecretStr

from referral_rewards.domain.facts.rights import rights
from referral_rewards.loopback import reply, served
from referral_rewards.sources.connecting import at_vendor
from referral_rewards.sources.port import Source
from referral_rewards.vendor_apis.asking import Asking
from referral_rewards.vendor_apis.hubspot import HubSpotApi
from referral_rewards.vendor_apis.port import VendorApi
from referral_rewards.vendor_apis.shopify import VERSION, ShopifyApi
from referral_rewards.vendor_apis.stripe import StripeApi
from referral_rewards.vendors.access import ApiAccess
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.known import VENDORS
from referral_rewards.vendors.port import SourceMapping
from tests.vendors.hubspot_samples import CONTACT, DEAL
from tests.vendors.shopify_samples import SHOP

KEY = "key-of-a-test"
_PREFIXES = {"stripe": "/v1/", "shopify": f"/admin/api/{VERSION}/", "hubspot": "/"}


@dataclass
class Held:
    """A vendor's server. ``objects`` are its answers by path, ``lists`` its lists by path: of these it gives what has
    the asked values. ``down`` is a status that it answers everything with, ``slow`` how long it takes."""

    vendor: str
    objects: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    down: dict[str, int] = field(default_factory=dict)
    slow: float = 0.0
    key: str = KEY
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix(_PREFIXES[self.vendor])
        self.asked.append(path)
        headers = {value.decode() for _, value in scope["headers"]}
        if not headers & {self.key, f"Bearer {self.key}"}:
            return await reply(send, 401)
        await asyncio.sleep(self.slow)
        if status := self.down.get(path) or self.down.get("*"):
            return await reply(send, status)
        body = json.loads((await receive())["body"]) if scope["method"] == "POST" else {}
        found = self._found(path, dict(parse_qsl(scope["query_string"].decode())), body)
        return await (reply(send, 404) if found is None else reply(send, 200, json.dumps(found).encode()))

    def _found(self, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        if "query" in body:
            return {"data": {"order": {"disputes": self.lists["disputes"]}}}
        if body:
            wanted = {each["id"] for each in body["inputs"]}
            return {"results": [each for each in self.lists.get(path, []) if _id(each) in wanted]}
        if query.get("archived") == "true":
            path = f"{path} archived"
        if path in self.lists:
            its = [
                each
                for each in self.lists[path]
                if all(each.get(name, value) == value for name, value in query.items())
            ]
            return {_LISTED.get(path, "data"): its, "has_more": False}
        return self.objects.get(path)


_LISTED = {"orders.json": "orders"}


def _id(each: Mapping[str, Any]) -> str:
    return str(each["from"]["id"] if "from" in each else each["id"])


def stripe() -> Held:
    """A Stripe that holds nothing yet."""
    listed = ("checkout/sessions", "invoices", "credit_notes", "subscriptions", "payment_intents", "charges")
    return Held("stripe", lists={each: [] for each in (*listed, "refunds", "disputes")})


def shopify(*orders: Mapping[str, Any]) -> Held:
    """A Shopify that holds these orders, and no disputes."""
    held = {f"orders/{each['id']}.json": {"order": each} for each in orders}
    return Held("shopify", held, {"disputes": [], "orders.json": []})


def disputed(held: Held, dispute: Mapping[str, Any]) -> Held:
    """The same Shopify with a dispute of its order."""
    held.lists["disputes"].append(
        {"id": f"gid://shopify/OrderDispute/{dispute['id']}", "status": dispute["status"].upper()}
    )
    held.objects[f"shopify_payments/disputes/{dispute['id']}.json"] = {"dispute": dispute}
    return held


def hubspot(deal: Mapping[str, Any] | None = None) -> Held:
    """A HubSpot that holds this deal, with its contact beside it."""
    lists: dict[str, list[dict[str, Any]]] = {"crm/v3/objects/deals": [], "crm/v3/objects/contacts": []}
    if deal is None:
        return Held("hubspot", lists=lists)
    alone = {name: value for name, value in deal.items() if name != "contact"}
    lists["crm/v3/associations/deals/contacts/batch/read"] = [{"from": {"id": str(DEAL)}, "to": [{"id": str(CONTACT)}]}]
    lists["crm/v3/objects/contacts/batch/read"] = [dict(deal["contact"])]
    its = f"crm/v3/objects/deals/{deal['id']}"
    return Held("hubspot", {f"{its} archived" if deal["archived"] else its: alone}, lists)


def source(vendor: str, url: str, its: SourceMapping | None = None, key: str | None = KEY) -> ConnectedSource:
    """A source of that vendor, whose API stands at ``url``."""
    accounts = frozenset({SHOP}) if vendor == "shopify" else frozenset()
    mapping = its or SourceMapping(source="shop", accounts=accounts)
    may = rights((mapping.source,), ("conversion.*",))
    access = ApiAccess(url, None if key is None else SecretStr(key))
    return ConnectedSource("shop", VENDORS[vendor], mapping, may, api=access)


@asynccontextmanager
async def at(held: Held, its: SourceMapping | None = None, key: str | None = KEY) -> AsyncIterator[Source]:
    """The vendor as a source of an installation, named ``shop``, asked as fast as it answers."""
    async with served(held) as url:
        asked = source(held.vendor, url, its, key)
        if key is None or asked.api is None:
            yield at_vendor(asked, None)
            return
        asking = Asking(asked.api, {"Authorization": f"Bearer {key}"}, 10_000.0)
        try:
            apis: dict[str, VendorApi] = {
                "stripe": StripeApi(asking),
                "shopify": ShopifyApi(asking, SHOP),
                "hubspot": HubSpotApi(asking, asked.mapping),
            }
            yield at_vendor(asked, apis[held.vendor])
        finally:
            await asking.close()
