"""The APIs of the connected sources, each over a client of its own."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from referral_rewards.operation.outgoing import Noting
from referral_rewards.vendor_apis import hubspot, shopify, stripe
from referral_rewards.vendor_apis.asking import PATIENCE_SECONDS, Asking
from referral_rewards.vendor_apis.port import VendorApi
from referral_rewards.vendors.connected import ConnectedSource

_HEADERS: Final[Mapping[str, Callable[[str], Mapping[str, str]]]] = {
    "hubspot": hubspot.headers,
    "shopify": shopify.headers,
    "stripe": stripe.headers,
}
_PER_SECOND: Final[Mapping[str, float]] = {
    "hubspot": hubspot.PER_SECOND,
    "shopify": shopify.PER_SECOND,
    "stripe": stripe.PER_SECOND,
}


@asynccontextmanager
async def connected(
    sources: Mapping[str, ConnectedSource], noting: Noting | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[Mapping[str, VendorApi]]:
    """Yield the API of each source that has one, for the length of the block. Each request is noted under the source's
    name and takes ``patience_seconds`` at most."""
    found: dict[str, VendorApi] = {}
    async with AsyncExitStack() as clients:
        for name, source in sources.items():
            if source.api is None or source.api.key is None:
                continue
            vendor, note = source.vendor.name, None if noting is None else noting(name)
            bearing = _HEADERS[vendor](source.api.key.get_secret_value())
            asking = Asking(source.api, bearing, _PER_SECOND[vendor], note, patience_seconds)
            clients.push_async_callback(asking.close)
            found[name] = _api(source, asking)
        yield found


def _api(source: ConnectedSource, asking: Asking) -> VendorApi:
    accounts = sorted(source.mapping.accounts)
    match source.vendor.name:
        case "shopify":
            return shopify.ShopifyApi(asking, *accounts)
        case "hubspot":
            return hubspot.HubSpotApi(asking, source.mapping)
        case _:
            return stripe.StripeApi(asking, accounts)
