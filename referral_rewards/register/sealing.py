"""Seals what the register must keep and nobody may read there: authenticated encryption (Fernet) under several keys.

The newest key seals; every key opens, so that keys are replaced without a pause. What is sealed says whose it is: a
sealed text that is moved to another row does not open there.
"""

import base64
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from referral_rewards.domain.errors import SealBroken


class Sealer:
    """Seals and opens; ``keys`` have 32 bytes each, the newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])

    def seal(self, text: str, *, of: str) -> str:
        """Return the text sealed, ``of`` what it is and whose."""
        return self._keys.encrypt(json.dumps([of, text]).encode()).decode()

    def open(self, sealed: str, *, of: str) -> str:
        """Return the text.

        Raises:
            SealBroken: if no key opens it, or it is of something else.
        """
        try:
            said, text = json.loads(self._keys.decrypt(sealed.encode()))
        except InvalidToken:
            raise SealBroken(of) from None
        if said != of:
            raise SealBroken(of)
        return str(text)

    def again(self, sealed: str) -> str:
        """Return the same sealed by the newest key."""
        return self._keys.rotate(sealed.encode()).decode()
