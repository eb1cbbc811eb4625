"""The sources of events in the local stack: a Shopify shop and Stripe Checkout, both sandboxes.

Their secrets are made at the first start. The file that names them is written at each start, so that it always fits
this version; whoever connects sources of their own names another file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from referral_rewards.config.documents import document
from referral_rewards.config.stack import PREFIX, keys_folder
from referral_rewards.local.keys import secret
from referral_rewards.local.sandbox.shops.delivery import SHOPIFY, STRIPE
from referral_rewards.local.sandbox.shops.shopify import DOMAIN
from referral_rewards.vendors.shopify import Shopify
from referral_rewards.vendors.stripe import Stripe

SETTING: Final = PREFIX + "EVENT_SOURCES"
#: The program of claims that name none.
PROGRAM: Final = "acme-today"
_HEAD: Final = (
    "# Written at each start. To connect sources of your own, copy it and name the copy: REFERRALS_EVENT_SOURCES.\n"
)
_TELLS: Final = ["conversion.*", "referral.claimed"]
#: What the shop and the checkout carry: a referral link's code, and the program that it is of.
_SOURCES: Final[Mapping[str, Mapping[str, Any]]] = {
    SHOPIFY: {
        "vendor": Shopify.name,
        "source": "acme/shop",
        "accounts": [DOMAIN],
        "map": {"code": "landing.ref", "program": "landing.program"},
    },
    STRIPE: {
        "vendor": Stripe.name,
        "source": "acme/stripe",
        "map": {
            "code": "metadata.referral_code",
            "program": "metadata.referral_program",
            "order": "metadata.order_id",
            "customer": "client_reference_id",
        },
    },
}


def hear_the_shop(given: Mapping[str, str]) -> bool:
    """Return whether the shop's webhooks arrive: into our own file, or into one that still has both sources."""
    if SETTING not in given:
        return True
    decoded = document(Path(given[SETTING]))
    return isinstance(decoded, dict) and _SOURCES.keys() <= set(decoded.get("sources") or ())


def secrets_of(data: Path) -> Mapping[str, str]:
    """Return what each source signs its webhooks with, by its name."""
    return {name: secret(data, f"webhooks-{name}") for name in _SOURCES}


def written(data: Path) -> Path:
    """Write the file of the sources, and return its path."""
    secrets_of(data)
    sources = {
        name: {
            **source,
            "program": PROGRAM,
            "tells": list(_TELLS),
            "secrets": [f"file:{(keys_folder(data) / f'webhooks-{name}').resolve()}"],
        }
        for name, source in _SOURCES.items()
    }
    path = data / "event-sources.yaml"
    path.write_text(_HEAD + yaml.safe_dump({"sources": sources}, sort_keys=False))
    return path.resolve()
