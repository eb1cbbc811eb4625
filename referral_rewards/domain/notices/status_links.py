"""Secret links with which a referrer or a referee sees their own status without an account (SPEC §6).

A token names the referral and the side, and its keyed hash proves that we made it. The generation is in the referral's
row and not in the token: raising it there revokes every earlier link.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from referral_rewards.domain.claims.rewards import Side

#: 160 bits: too many to guess, and the link still fits on one line of a message.
_PROOF_BYTES: Final = 20
_LETTERS: Final = {Side.REFERRER: b"r", Side.REFEREE: b"e"}
_SIDES: Final = {letter: side for side, letter in _LETTERS.items()}
#: An id has at most 200 characters of at most four bytes each.
_TOKEN_LENGTH_MAX: Final = 1200


@dataclass(frozen=True, slots=True)
class Claimed:
    """The content of a token; not trusted until `proves` has verified it."""

    referral: str
    side: Side
    proof: bytes


def token(key: bytes, referral: str, side: Side, generation: int) -> str:
    """Return the token of one side's link, in characters that need no escaping in a URL."""
    return _text(_proof(key, referral, side, generation) + _LETTERS[side] + referral.encode())


def read(text: str) -> Claimed | None:
    """Return the content of a token, or None if the text is not a token."""
    if len(text) > _TOKEN_LENGTH_MAX:
        return None
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        proof, letter, name = found[:_PROOF_BYTES], found[_PROOF_BYTES : _PROOF_BYTES + 1], found[_PROOF_BYTES + 1 :]
        claimed = Claimed(name.decode(), _SIDES[letter], proof)
    except (ValueError, binascii.Error, KeyError):
        return None
    # Base64 has several spellings of one value; only ours is a token.
    return claimed if _text(found) == text else None


def proves(key: bytes, claimed: Claimed, generation: int) -> bool:
    """Whether we made the token for this generation; compares in constant time."""
    return hmac.compare_digest(claimed.proof, _proof(key, claimed.referral, claimed.side, generation))


def _proof(key: bytes, referral: str, side: Side, generation: int) -> bytes:
    return hmac.new(key, f"{generation}\n{side}\n{referral}".encode(), hashlib.sha256).digest()[:_PROOF_BYTES]


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
