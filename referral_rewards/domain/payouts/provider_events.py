"""What a provider tells of by itself. It is a hint: whoever is paid by it is asked about with our own credentials."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote
from uuid import UUID

#: Which rails each provider's events may be about.
RAILS_OF: Final[Mapping[str, frozenset[str]]] = {
    "stripe": frozenset({"stripe_transfer", "stripe_balance", "stripe_promotion"}),
    "paypal": frozenset({"paypal_payouts"}),
    "tremendous": frozenset({"tremendous"}),
}
#: Whose events bear no name of ours: one about an order that we don't know may be about any payment in doubt.
NAMELESS: Final = frozenset({"tremendous"})
_KEY: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-\d{1,9})?", re.ASCII)
_LENGTH_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """An event of one of our providers: its own id, what happened to what, and by which names the payout may be found.

    ``payout`` is the id that we noted on what we made; ``references`` are names that the provider gave. Nothing else
    of it is kept: it may quote whom it is about.
    """

    source: str
    id: str
    kind: str
    object_id: str
    payout: UUID | None = None
    references: tuple[str, ...] = ()


def payout_in(*texts: object) -> UUID | None:
    """The payout that is named by one of these: by its id, or by a key of it."""
    for text in texts:
        if isinstance(text, str) and (match := _KEY.fullmatch(text)):
            return UUID(match[1])
    return None


def named(texts: Iterable[object]) -> tuple[str, ...]:
    """Those that can be a name that a provider gave."""
    return tuple(
        text for text in texts if isinstance(text, str) and 0 < len(text) <= _LENGTH_MAX and "\x00" not in text
    )


_STRIPE: Final = {
    "stripe_transfer": "connect/transfers",
    "stripe_balance": "customers",
    "stripe_promotion": "promotion_codes",
}


def page_of(rail: str, mode: str | None, reference: str | None, destination: str | None) -> str | None:
    """Its address, or that of the dashboard as long as it has no reference; None where there is none that we know.

    ``mode`` is live or test: nobody but us looks into a sandbox.
    """
    if mode not in ("live", "test"):
        return None
    live = mode == "live"
    if rail in _STRIPE:
        base = "https://dashboard.stripe.com/" + ("" if live else "test/")
        # A credit is listed with its customer, and has no page of its own.
        named = destination if rail == "stripe_balance" else reference
        return f"{base}{_STRIPE[rail]}/{quote(named, safe='')}" if named else base + _STRIPE[rail]
    if rail == "paypal_payouts":
        return "https://www.paypal.com/activities" if live else "https://www.sandbox.paypal.com/activities"
    if rail == "tremendous":
        return "https://app.tremendous.com/" if live else "https://app.testflight.tremendous.com/"
    return None
