"""Any system that sends Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.vendors import generic
from referral_rewards.vendors.port import Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.reading import needed, part
from referral_rewards.vendors.signatures import check_secrets, check_stamp, json_object, same

_PREFIX: Final = "whsec_"
_SIGNATURES_MAX: Final = 10


class StandardWebhooks:
    """A sender of Standard Webhooks. Its facts are read by `generic`."""

    name = "standard_webhooks"
    headers: Sequence[str] = ("webhook-id",)

    def verify(self, secrets: Sequence[str], request: Told, mapping: SourceMapping, now: datetime) -> None:
        """See `Vendor.verify`."""
        check_secrets(secrets)
        name, stamp, told = (request.headers.get(f"webhook-{each}", "") for each in ("id", "timestamp", "signature"))
        if not (name and stamp and told):
            raise NotGenuine("webhook-id, -timestamp or -signature is missing")
        signed = f"{name}.{stamp}.".encode() + request.body
        right = [base64.b64encode(hmac.digest(_key(each), signed, hashlib.sha256)).decode() for each in secrets]
        versions = [each.partition(",")[::2] for each in told.split(" ")][:_SIGNATURES_MAX]
        if not same(right, [signature for version, signature in versions if version == "v1"]):
            raise NotGenuine("no signature in webhook-signature is of this body by a secret of this source")
        check_stamp(stamp, now, "webhook-timestamp")

    def events(self, request: Told) -> Sequence[Told]:
        """Return the request: each has one event."""
        return (request,)

    def read(self, event: Told, mapping: SourceMapping) -> Reading:
        """See `Vendor.read`."""
        document = json_object(event.body)
        name = event.headers.get("webhook-id")
        if not name:
            raise Unreadable("webhook-id", "is missing", "the header that the event came with")
        stamp = part(document, "timestamp") or part(document, "time")
        at = None if stamp is None else generic.instant(stamp, "timestamp")
        return generic.read(name, needed(document, "type"), at, document, mapping)


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise NotGenuine("a secret of this source is no base64, as whsec_… is") from None
