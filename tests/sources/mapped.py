"""A shop that answers in its own words, with the mapping of docs/guides/sources.md."""

import json
from pathlib import Path
from typing import Any

import yaml

from referral_rewards.config.revalidation import parse
from referral_rewards.sources.mapping import MappedEndpoint
from referral_rewards.vendors.values import document

GUIDE = Path(__file__).parents[2] / "docs/guides/sources.md"
KEYS = {"LEGACY_SHOP_KEY": "k-1"}
AT = "2026-07-15T09:30:00Z"


def example() -> dict[str, Any]:
    """The guide's example, as it stands there."""
    block = next(each for each in GUIDE.read_text().split("```") if each.startswith("yaml\nrevalidation:"))
    return dict(yaml.safe_load(block.removeprefix("yaml\n")))


def endpoint(url: str = "https://shop.example", **changes: Any) -> MappedEndpoint:
    """The guide's shop at another address; ``changes`` replace parts of it."""
    text = yaml.safe_dump(example()).replace("https://shop.example", url)
    changed = yaml.safe_load(text)
    changed["revalidation"]["legacy-shop"] |= changes
    return parse(changed, KEYS)["legacy-shop"]


def order(**changes: Any) -> dict[str, Any]:
    """An order of 80.00, as the guide's shop tells it."""
    its = {
        "number": "o-77",
        "status": "paid",
        "total": 80.0,
        "currency": "USD",
        "paid_at": "2026-07-10T14:00:00Z",
        "updated_at": AT,
        "buyer": {"id": "c-brie", "email": "brie@example.com"},
        "refunds": [],
    }
    return decoded({"order": its | changes})


def account(**changes: Any) -> dict[str, Any]:
    return decoded({"state": "open", "closed_at": None} | changes)


def decoded(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as it is read: its numbers with a fraction are texts."""
    return dict(document(json.dumps(answer).encode()))
