"""Events of Tremendous: https://developers.tremendous.com/docs/webhooks-1."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.payouts.provider_events import ProviderEvent
from referral_rewards.rails.webhooks.port import parsed, word

_KINDS: Final = ("ORDERS.", "REWARDS.")


class TremendousWebhook:
    """The organisation's only webhook, with its private key. Its signature does not include a time."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    async def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent | None:
        scheme, _, signature = headers.get("tremendous-webhook-signature", "").partition("=")
        right = hmac.new(self._key, body, hashlib.sha256).hexdigest().encode()
        if scheme.strip() != "sha256" or not hmac.compare_digest(right, signature.strip().lower().encode()):
            raise NotGenuine("Tremendous-Webhook-Signature is not of this body by our key")
        event = parsed(body)
        kind = word(event, "event")
        if not kind.startswith(_KINDS):
            return None
        name = word(event, "payload", "resource", "id")
        return ProviderEvent("tremendous", word(event, "uuid"), kind, name, references=(name,))
