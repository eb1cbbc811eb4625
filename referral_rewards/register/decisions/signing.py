"""Ed25519 signatures on decisions. Only the API holds the private key; other processes have the public keys."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from referral_rewards.domain.errors import BadInput, Problem


class KeyStatus(StrEnum):
    """Whether a key's signatures count: those of a retired key still do, those of a revoked key do not."""

    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


class Signer:
    """Signs decisions with an Ed25519 private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = _key_id(key.public_key())

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """Load the signer from a PEM file.

        Raises:
            ValueError: if the file holds no Ed25519 private key.
        """
        key = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} holds no Ed25519 key")
        return cls(key)

    @classmethod
    def generate(cls) -> "Signer":
        return cls(Ed25519PrivateKey.generate())

    def pem(self) -> bytes:
        """Return the private key as PEM. Write it only to a file that no one but its owner can read."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> str:
        return self._key.sign(message).hex()

    def public_entry(self) -> dict[str, str]:
        """Return this key's entry for a verify file."""
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        return {"key_id": self.key_id, "public_key": public, "status": KeyStatus.ACTIVE}


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The trusted public keys, from a file that the database can't change. ``listed`` are the ids of all its keys,
    revoked ones included; ``active`` those that may sign."""

    keys: Mapping[str, Ed25519PublicKey]
    listed: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()

    @classmethod
    def load(cls, path: Path) -> "KeyRing":
        """Load a verify file: a JSON list of ``{key_id, public_key (hex), status}``. Revoked keys are left out.

        Raises:
            BadInput: if the file can't be read, or has another form.
        """
        try:
            entries = json.loads(path.read_text())
            if not isinstance(entries, list):
                raise TypeError("it is no list")
            return cls.of(entries)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"{path} is no list of {{key_id, public_key, status}}: {type(error).__name__}: {error}"
            raise BadInput([Problem("REFERRALS_VERIFY_KEYS", why)]) from None

    @classmethod
    def of(cls, entries: list[dict[str, str]]) -> "KeyRing":
        return cls(
            {
                entry["key_id"]: Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry["public_key"]))
                for entry in entries
                if KeyStatus(entry["status"]) is not KeyStatus.REVOKED
            },
            frozenset(entry["key_id"] for entry in entries),
            frozenset(entry["key_id"] for entry in entries if KeyStatus(entry["status"]) is KeyStatus.ACTIVE),
        )

    def verifies(self, key_id: str, message: bytes, signature: str) -> bool:
        """Return whether a trusted key made this signature."""
        key = self.keys.get(key_id)
        if key is None:
            return False
        try:
            key.verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def disbelief(self, key_id: str) -> str:
        """Return in words what is wrong with a signature that names this key and that is not believed. After a key was
        revoked its decisions must still be told from those that somebody forged."""
        if key_id in self.listed and key_id not in self.keys:
            return f"names the key {key_id}, which is revoked"
        return "carries no signature that we believe"


def _key_id(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()[:16]
