"""Signed links: by one the company's own system says that its customer stands before us.

The system signs program, customer and end with a secret that it shares with the front door. A link holds opaque ids
only. Several secrets hold at once, so that one can be replaced.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from referral_rewards.domain.facts.ids import id_problem

#: Nobody makes a link for longer: a link that is found later must not open anything.
LIFETIME_MAX: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says; not believed until `objection` has nothing against it. ``expires`` is in seconds of 1970."""

    program: str
    customer: str
    expires: int

    def query(self, secret: bytes) -> str:
        """Return the query of the signed link."""
        said = {"program": self.program, "customer": self.customer, "expires": str(self.expires)}
        return urlencode({**said, "signature": signature(secret, self)})


class Objection(StrEnum):
    """Why a link opens nothing."""

    FORGED = "forged"
    EXPIRED = "expired"
    TOO_LONG = "too_long"
    NO_ID = "no_id"


def signature(secret: bytes, link: Link) -> str:
    """Return the signature of a link: HMAC-SHA256 over its three parts, one a line, in hex."""
    said = f"{link.program}\n{link.customer}\n{link.expires}"
    return hmac.new(secret, said.encode(), hashlib.sha256).hexdigest()


def objection(secrets: Sequence[bytes], link: Link, signed: str, now: datetime) -> Objection | None:
    """Return why a link opens nothing, or None. Every secret is compared, in constant time."""
    signatures = [signature(each, link) for each in secrets]
    if not any([hmac.compare_digest(each.encode(), signed.encode()) for each in signatures]):  # noqa: C419 (all of them)
        return Objection.FORGED
    if id_problem(link.customer) is not None or "\n" in link.program:
        return Objection.NO_ID
    if link.expires <= now.timestamp():
        return Objection.EXPIRED
    if link.expires > (now + LIFETIME_MAX).timestamp():
        return Objection.TOO_LONG
    return None


def expiring(now: datetime, lasts: timedelta) -> int:
    """Return the end of a link that is made now."""
    return int((now + lasts).astimezone(UTC).timestamp())
