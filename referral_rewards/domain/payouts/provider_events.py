"""What a provider tells of by itself. It is a hint: whoever is paid by it is asked about with our own credentials."""

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


def page_of(rail: str, mode: str | None, reference: str | None, destination: str | None) -> str | None:
    """Its address, or that of the dashboard as long as it has no reference; None where there is none that we know.

    ``mode`` is live or test: nobody but us looks into a sandbox.
    """
    known = rail_catalogue.CATALOGUE.get(rail)
    if known is None or known.dashboard is None or mode not in ("live", "test"):
        return None
    address = known.dashboard.live if mode == "live" else known.dashboard.test
    named = {"reference": reference, "destination": destination, None: None}[known.dashboard.named_by]
    return f"{address}/{quote(named, safe='')}" if named else address
