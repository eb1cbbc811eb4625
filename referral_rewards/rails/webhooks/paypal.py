"""Events of PayPal: https://developer.paypal.com/api/rest/webhooks/rest/#verify-webhook-signature.

PayPal signs the transmission's id and time, the webhook's id and the body's CRC-32. The event names the address of the
certificate. We fetch it only from PayPal's own addresses, and it must be issued to PayPal's event names and lead to a
root that we trust.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.payouts.provider_events import ProviderEvent, named, payout_in
from referral_rewards.rails.webhooks.certificates import Certificates
from referral_rewards.rails.webhooks.port import parsed, part, word

_KINDS: Final = ("PAYMENT.PAYOUTS-ITEM.", "PAYMENT.PAYOUTSBATCH.")
_HEADERS: Final = ("id", "time", "sig")
_ALGORITHM: Final = "SHA256withRSA"
_SAFE: Final = re.compile(r"[\x21-\x7e]{1,500}", re.ASCII)


class PayPalWebhook:
    """One webhook of a PayPal app, identified by its webhook id."""

    def __init__(self, webhook_id: str, certificates: Certificates) -> None:
        self._webhook_id = webhook_id
        self._certificates = certificates

    async def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent | None:
        name, when, signature = (headers.get(f"paypal-transmission-{each}", "") for each in _HEADERS)
        if not all(_SAFE.fullmatch(each) for each in (name, when, signature)):
            raise NotGenuine("PAYPAL-TRANSMISSION-ID, -TIME or -SIG is missing")
        if headers.get("paypal-auth-algo") != _ALGORITHM:
            raise NotGenuine(f"PAYPAL-AUTH-ALGO is not {_ALGORITHM}")
        key = await self._certificates.key_at(headers.get("paypal-cert-url", ""), now)
        signed = f"{name}|{when}|{self._webhook_id}|{zlib.crc32(body)}".encode()
        if not _signs(key, signature, signed):
            raise NotGenuine("PAYPAL-TRANSMISSION-SIG is not of this body for our webhook")
        event = parsed(body)
        kind = word(event, "event_type")
        if not kind.startswith(_KINDS):
            return None
        thing = part(event, "resource")
        ids = [
            part(thing, "payout_item_id"),
            part(thing, "payout_batch_id"),
            part(thing, "batch_header", "payout_batch_id"),
        ]
        payout = payout_in(
            part(thing, "payout_item", "sender_item_id"),
            part(thing, "sender_batch_id"),
            part(thing, "batch_header", "sender_batch_header", "sender_batch_id"),
        )
        references: Sequence[str] = named(ids)
        about = references[0] if references else word(event, "resource_type")
        return ProviderEvent("paypal", word(event, "id"), kind, about, payout, tuple(references))


def _signs(key: rsa.RSAPublicKey, signature: str, signed: bytes) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
