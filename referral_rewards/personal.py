"""Seals personal data field by field and opens it again: the one place that does (AES-256-GCM, several keys).

The first key seals; every key opens, so that keys are replaced without a pause. What is sealed begins with the name of
its key, so that what an older key sealed is found and sealed anew. It is bound to its row: moved to another one, it
does not open. The salt of its commitment is sealed with it, because a salt in clear lets anybody try out guesses.

Whoever has a connection of a `Database` has the keys that this was opened with.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from referral_rewards.domain.errors import BadInput, Problem, SealBroken

#: The key under which a connection's `info` holds its `PersonalKeys`.
KEYS: Final = "keys of personal data"
#: How many bytes of what is sealed name its key.
NAME_BYTES: Final = 4
_NONCE_BYTES: Final = 12
SALT_BYTES: Final = 16
#: Why nothing can be sealed.
NOT_SET: Final = Problem("REFERRALS_PERSONAL_KEYS", "not set; personal data is never stored in clear")


class PersonalKeys:
    """The keys of personal data; each has 32 bytes, the newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._by_name = {_name(key): AESGCM(key) for key in reversed(keys)}
        self._newest = _name(keys[0]) if keys else None

    @property
    def newest(self) -> bytes:
        """The name of the key that seals. Raises BadInput if there is none."""
        if self._newest is None:
            raise BadInput([NOT_SET])
        return self._newest

    @property
    def names(self) -> frozenset[bytes]:
        """The names of all keys, by which one can tell that a key is there without having it."""
        return frozenset(self._by_name)

    def seal(self, content: bytes, *, of: bytes) -> bytes:
        """Return the content sealed by the newest key, and bound to ``of``."""
        name, nonce = self.newest, os.urandom(_NONCE_BYTES)
        return name + nonce + self._by_name[name].encrypt(nonce, content, of)

    def open(self, sealed: bytes, *, of: bytes) -> bytes:
        """Return the content.

        Raises:
            SealBroken: if its key is not among ours, it was changed, or it is of something else.
        """
        name, nonce = sealed[:NAME_BYTES], sealed[NAME_BYTES : NAME_BYTES + _NONCE_BYTES]
        key = self._by_name.get(name)
        if key is None:
            raise SealBroken(f"personal data under the key {name.hex()}")
        try:
            return key.decrypt(nonce, sealed[NAME_BYTES + _NONCE_BYTES :], of)
        except (InvalidTag, ValueError):
            raise SealBroken(f"personal data under the key {name.hex()}") from None


class HasInfo(Protocol):
    """A connection of a `Database`."""

    @property
    def info(self) -> Any: ...


class Opened(NamedTuple):
    """The text of a fact, note or letter as it was kept, and the salt of its commitment."""

    salt: bytes
    content: str

    @property
    def body(self) -> dict[str, Any]:
        """The text as a document."""
        found: dict[str, Any] = json.loads(self.content)
        return found


def keys_of(connection: HasInfo) -> PersonalKeys:
    """Return the keys that a connection's database was opened with."""
    found = connection.info[KEYS]
    assert isinstance(found, PersonalKeys)
    return found


def seal(connection: HasInfo, subject: UUID, content: str, *, salt: bytes) -> bytes:
    """Return what is stored of the text of a fact, note or letter: the salt of its commitment (16 bytes) and itself."""
    return keys_of(connection).seal(salt + content.encode(), of=subject.bytes)


def opened(connection: HasInfo, subject: UUID, sealed: bytes | None) -> Opened | None:
    """Return what is kept of a subject; None if it was erased.

    Raises:
        SealBroken: if it can't be opened.
    """
    if sealed is None:
        return None
    plain = keys_of(connection).open(sealed, of=subject.bytes)
    return Opened(plain[:SALT_BYTES], plain[SALT_BYTES:].decode())


def body_of(connection: HasInfo, subject: UUID, sealed: bytes | None) -> dict[str, Any] | None:
    """Return the document that is kept of a subject; None if it was erased. Raises SealBroken as `opened` does."""
    found = opened(connection, subject, sealed)
    return None if found is None else found.body


def opened_or_broken(connection: HasInfo, subject: UUID, sealed: bytes | None) -> Opened | SealBroken | None:
    """Return what `opened` does, or why it can't be opened: for whoever looks into what was tampered with."""
    try:
        return opened(connection, subject, sealed)
    except SealBroken as broken:
        return broken


class Kept(NamedTuple):
    """A row of personal data to store."""

    subject_id: UUID
    sealed: bytes
    commitment: str


def kept(connection: HasInfo, subject: UUID, body: Mapping[str, Any]) -> Kept:
    """Return the row in which a text is kept: sealed, and with a salted commitment that stays when it is erased."""
    content = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    salt = os.urandom(SALT_BYTES)
    commitment = hashlib.sha256(salt + content.encode()).hexdigest()
    return Kept(subject, seal(connection, subject, content, salt=salt), commitment)


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"the name of a key of personal data" + key).digest()[:NAME_BYTES]
