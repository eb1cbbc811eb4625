"""How the API of a connected source is asked, and how often it is pulled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

#: The vendors whose API is asked, each with its usual address; ``{shop}`` is the shop that the source names.
URLS: Final[Mapping[str, str]] = {
    "hubspot": "https://api.hubapi.com",
    "shopify": "https://{shop}",
    "stripe": "https://api.stripe.com",
}
#: For how long a vendor still tells what happened. Of the others everything that they hold can be asked for.
KEEPS: Final[Mapping[str, timedelta]] = {"stripe": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Our access to the API of one source. ``url`` has no path and no slash at its end; ``key`` is None in a process
    that asks nothing."""

    url: str
    key: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """How often a source is asked what happened, and how far each time goes back behind the one before."""

    every: timedelta
    overlap: timedelta
