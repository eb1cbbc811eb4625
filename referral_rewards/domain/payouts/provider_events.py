"""Events that a provider sends unasked. An event is only a hint: we ask about the payment with our own credentials."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote
from uuid import UUID

from referral_rewards.domain.payouts import rail_catalogue

_KEY: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-\d{1,9})?", re.ASCII)
_LENGTH_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """An event of a provider: its id, what happened to what, and the ids by which the payout may be found.

    ``payout`` is our id, which we put on what we created; ``references`` are the provider's ids. Nothing else is
    stored: the event may contain personal data.
    """

    source: str
    id: str
    kind: str
    object_id: str
    payout: UUID | None = None
    references: tuple[str, ...] = ()


def payout_in(*texts: object) -> UUID | None:
    """Return the payout that one of these texts names by its id or by one of its keys, or None."""
    for text in texts:
        if isinstance(text, str) and (match := _KEY.fullmatch(text)):
            return UUID(match[1])
    return None


def named(texts: Iterable[object]) -> tuple[str, ...]:
    """Return those that can be a provider's reference."""
    return tuple(
        text for text in texts if isinstance(text, str) and 0 < len(text) <= _LENGTH_MAX and "\x00" not in text
    )


def page_of(rail: str, mode: str | None, reference: str | None, destination: str | None) -> str | None:
    """Return the address of a payment's page at the provider, or of the dashboard while it has no reference, or None.

    ``mode`` is live or test; any other has no page, as only we see a sandbox.
    """
    known = rail_catalogue.CATALOGUE.get(rail)
    if known is None or known.dashboard is None or mode not in ("live", "test"):
        return None
    address = known.dashboard.live if mode == "live" else known.dashboard.test
    named = {"reference": reference, "destination": destination, None: None}[known.dashboard.named_by]
    return f"{address}/{quote(named, safe='')}" if named else address
