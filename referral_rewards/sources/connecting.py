"""Connects the sources that an installation names, each by its kind, and our own register beside them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from referral_rewards.domain.referrals.inquiries import REGISTER
from referral_rewards.operation.outgoing import Noting, transport
from referral_rewards.sources.asking import PATIENCE_SECONDS
from referral_rewards.sources.http import HttpSource, RegisterSource
from referral_rewards.sources.hubspot import HubSpotDeals
from referral_rewards.sources.mapped import MappedSource
from referral_rewards.sources.mapping import MappedEndpoint
from referral_rewards.sources.port import Endpoint, Right, Source
from referral_rewards.sources.shopify import ShopifyOrders
from referral_rewards.sources.stripe import StripeOrders
from referral_rewards.sources.vendor import VendorSource
from referral_rewards.vendor_apis import connected as apis
from referral_rewards.vendor_apis.hubspot import HubSpotApi
from referral_rewards.vendor_apis.port import VendorApi
from referral_rewards.vendor_apis.shopify import ShopifyApi
from referral_rewards.vendor_apis.stripe import StripeApi
from referral_rewards.vendors.connected import ConnectedSource

#: Where a source is, and how it is read.
Place = Endpoint | MappedEndpoint | ConnectedSource


@asynccontextmanager
async def connected(places: Mapping[str, Place], noting: Noting | None = None) -> AsyncIterator[Mapping[str, Source]]:
    """Yield the register and every source of ``places``, for the length of the block. Each request is noted under the
    source's name."""
    outside: dict[str, Source] = {}
    async with AsyncExitStack() as clients:
        vendors = {name: at for name, at in places.items() if isinstance(at, ConnectedSource)}
        asked = await clients.enter_async_context(apis.connected(vendors, noting, PATIENCE_SECONDS))
        for name, at in places.items():
            if isinstance(at, ConnectedSource):
                outside[name] = at_vendor(at, asked.get(name))
                continue
            over = transport(noting(name) if noting is not None else None)
            client = httpx.AsyncClient(follow_redirects=False, trust_env=False, transport=over)
            outside[name] = _source(name, at, await clients.enter_async_context(client))
        yield {REGISTER: RegisterSource(), **outside}


def at_vendor(source: ConnectedSource, api: VendorApi | None) -> VendorSource:
    """Return an event source as one that is asked at its vendor; without an ``api`` this process has no key."""
    match api:
        case StripeApi():
            orders: StripeOrders | ShopifyOrders | HubSpotDeals = StripeOrders(api, source.mapping)
        case ShopifyApi():
            orders = ShopifyOrders(api, source.mapping)
        case HubSpotApi():
            orders = HubSpotDeals(api)
        case _:
            return VendorSource(source)
    return VendorSource(source, orders)


async def rights_at(source: Source) -> Sequence[Right]:
    """Return what a source has to let us read. One that is no vendor's answers or does not."""
    if isinstance(source, VendorSource):
        return await source.rights()
    return (Right("answers", await source.reachable()),)


def _source(name: str, at: Endpoint | MappedEndpoint, client: httpx.AsyncClient) -> Source:
    match at:
        case Endpoint():
            return HttpSource(name, at, client)
        case MappedEndpoint():
            return MappedSource(name, at, client)


def spoken_at(at: Place) -> str:
    """Return how a source is asked, in a word or two."""
    match at:
        case Endpoint():
            return "our own form"
        case MappedEndpoint():
            return "a mapping"
        case ConnectedSource():
            return at.vendor.name
