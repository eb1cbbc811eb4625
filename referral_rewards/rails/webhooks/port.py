"""What every provider's webhook must be able to do."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.payouts.provider_events import ProviderEvent


class Webhook(Protocol):
    """One provider's webhook, with the secret that it signs by."""

    async def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent | None:
        """The event that is in the body, as it arrived byte by byte; None if it is of a kind that pays nobody.

        Header names are in lower case.

        Raises:
            NotGenuine: if the provider has not signed it, or not lately.
            RequestInvalid: if what it signed is not of its form.
            OutsideSilent: if what is needed to verify it can't be had now.
        """
        ...


def parsed(body: bytes) -> Mapping[str, Any]:
    """A signed body as JSON."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RequestInvalid("the body is not a JSON object")
    return found


def part(document: object, *path: str) -> Any:
    """What stands there in a document, or None where nothing does."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def word(document: Mapping[str, Any], *path: str) -> str:
    """The text that must stand there: the id or the kind of an event."""
    found = part(document, *path)
    if not isinstance(found, str) or not 0 < len(found) <= 255 or "\x00" in found:
        raise RequestInvalid("is missing, or no text of 1 to 255 characters", ".".join(path))
    return found
