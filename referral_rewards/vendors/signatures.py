"""What vendors' signatures have in common."""

import hmac
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.vendors.port import TOLERANCE_SECONDS, Unreadable

_STAMP_LENGTH_MAX: Final = 12


def check_secrets(secrets: Sequence[str]) -> None:
    """Return if there is a secret and none is empty: with an empty one anybody could sign.

    Raises:
        NotGenuine: else.
    """
    if not secrets or not all(secret.strip() for secret in secrets):
        raise NotGenuine("no secret is set for this source")


def same(right: Iterable[str], told: Iterable[str]) -> bool:
    """Return whether any of the right signatures was told. All are compared, each in constant time."""
    given = list(told)
    found = [hmac.compare_digest(one.encode(), other.encode()) for one in right for other in given]
    return any(found)


def check_stamp(stamp: str, now: datetime, where: str) -> None:
    """Return if a stamp in seconds is of the last five minutes, or at most five minutes ahead.

    Raises:
        NotGenuine: else, naming ``where`` it stands.
    """
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= _STAMP_LENGTH_MAX):
        raise NotGenuine(f"{where} has no stamp that is a number of seconds")
    seconds = int(now.timestamp()) - int(stamp)
    if abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
        which = f"{seconds} seconds ago" if seconds > 0 else f"{-seconds} seconds ahead of our clock"
        raise NotGenuine(
            f"{where} says that it was signed {which}; {TOLERANCE_SECONDS} are allowed: compare the clocks"
        )


def json_object(body: bytes) -> dict[str, Any]:
    """Return a signed body as a JSON object. A number with a fraction is a text, as it was written.

    Raises:
        Unreadable: if it is none.
    """
    try:
        found = json.loads(body, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise Unreadable("", "the body is not JSON", "send the event as its vendor does") from None
    if not isinstance(found, dict):
        raise Unreadable("", "the body is not a JSON object", "send the event as its vendor does")
    return found
