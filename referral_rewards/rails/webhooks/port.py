"""The interface that every provider's webhook implements."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from referral_rewards.domain.errors import NotGenuine, RequestInvalid
from referral_rewards.domain.payouts.provider_events import ProviderEvent


class Webhook(Protocol):
    """One provider's webhook, with the secret for its signatures."""

    async def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent | None:
        """Verify the unchanged bytes of the body and return the event; None if it does not concern payouts.

        Header names are in lower case.

        Raises:
            NotGenuine: if the provider did not sign it, or not recently.
            RequestInvalid: if it is signed but does not have the documented form.
            OutsideSilent: if something needed to verify it cannot be fetched now.
        """
        ...


class Several:
    """One provider's webhook while one secret takes the place of another: an event counts if either signed it."""

    def __init__(self, *webhooks: Webhook) -> None:
        self._webhooks = webhooks

    async def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent | None:
        *earlier, last = self._webhooks
        for webhook in earlier:
            try:
                return await webhook.read(body, headers, now)
            except NotGenuine:
                continue
        return await last.read(body, headers, now)


def parsed(body: bytes) -> Mapping[str, Any]:
    """Parse a signed body as a JSON object, else raise RequestInvalid."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RequestInvalid("the body is not a JSON object")
    return found


def part(document: object, *path: str) -> Any:
    """Return the value at a path in a document, or None if there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def word(document: Mapping[str, Any], *path: str) -> str:
    """Return the required text at a path, such as an event's id or kind, else raise RequestInvalid."""
    found = part(document, *path)
    if not isinstance(found, str) or not 0 < len(found) <= 255 or "\x00" in found:
        raise RequestInvalid("is missing, or no text of 1 to 255 characters", ".".join(path))
    return found
