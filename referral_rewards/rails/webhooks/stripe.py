"""Events of Stripe: https://docs.stripe.com/webhooks/signature.

Stripe signs the timestamp, a full stop and the body; while a secret is being rolled, there are several signatures.
Stripe's SDK accepts a timestamp in the future, so the holder of an old secret could sign for years ahead. We refuse it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.payouts.provider_events import ProviderEvent, named, payout_in
from referral_rewards.rails.webhooks.port import parsed, part, word

TOLERANCE_SECONDS: Final = 300
_KINDS: Final = ("transfer.", "promotion_code.")
_STAMP_LENGTH_MAX: Final = 12
_SIGNATURES_MAX: Final = 10


class StripeWebhook:
    """One webhook endpoint at Stripe, with its signing secret (``whsec_…``)."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    async def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent | None:
        self._verify(body, headers.get("stripe-signature", ""), now)
        event = parsed(body)
        kind = word(event, "type")
        if not kind.startswith(_KINDS):
            return None
        thing = part(event, "data", "object")
        payout = payout_in(part(thing, "metadata", "payout"), part(thing, "transfer_group"))
        references = named([part(thing, "id"), part(thing, "transfer")])
        return ProviderEvent("stripe", word(event, "id"), kind, word(event, "data", "object", "id"), payout, references)

    def _verify(self, body: bytes, header: str, now: datetime) -> None:
        pairs = [each.partition("=")[::2] for each in header.split(",")]
        stamps = [value for name, value in pairs if name.strip() == "t"]
        signatures = [value for name, value in pairs if name.strip() == "v1"][:_SIGNATURES_MAX]
        if len(stamps) != 1 or not signatures:
            raise NotGenuine("Stripe-Signature has no stamp, or no signature of version 1")
        (stamp,) = stamps
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= _STAMP_LENGTH_MAX):
            raise NotGenuine("Stripe-Signature has no stamp that is a number of seconds")
        right = hmac.new(self._secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest().encode()
        if not any([hmac.compare_digest(right, each.encode()) for each in signatures]):  # noqa: C419 (each is compared)
            raise NotGenuine("no signature in Stripe-Signature is of this body by our secret")
        if abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
            raise NotGenuine(f"it was signed more than {TOLERANCE_SECONDS} seconds ago, or is yet to be")
