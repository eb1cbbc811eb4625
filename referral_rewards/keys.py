"""The secrets of a local stack, made at its first start and readable by their owner only.

`pepper` keys the hashes that identities are matched by; `signing.pem` signs decisions, for the API alone; `verify.json`
lists the public keys that decisions are verified by. In a cluster the same three come from its secret store.
"""

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from referral_rewards.config import keys_folder


class Keys(NamedTuple):
    """Where the secrets of a local stack lie."""

    pepper: Path
    signing_key: Path
    verify_keys: Path


def ensure_keys(data: Path) -> Keys:
    """The keys of the stack on `data`, made where they are missing. Never replaces one: hashes and signatures stand."""
    folder = keys_folder(data)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    keys = Keys(folder / "pepper", folder / "signing.pem", folder / "verify.json")
    if not keys.pepper.exists():
        _write(keys.pepper, secrets.token_hex(32).encode())
    if not keys.signing_key.exists():
        private = Ed25519PrivateKey.generate()
        listed = json.loads(keys.verify_keys.read_text()) if keys.verify_keys.exists() else []
        listed.append(verify_entry(private.public_key()))
        # The list first: a signature made meanwhile would otherwise have no key to be verified by.
        _write(keys.verify_keys, json.dumps(listed, indent=2).encode())
        _write(keys.signing_key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return keys


def key_id(public: Ed25519PublicKey) -> str:
    """The name of a key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(_raw(public)).hexdigest()[:16]


def verify_entry(public: Ed25519PublicKey, status: str = "active") -> dict[str, str]:
    """One entry of verify.json. `status` is active, retired (still verifies) or revoked (verifies no more)."""
    return {"key_id": key_id(public), "public_key": base64.b64encode(_raw(public)).decode(), "status": status}


def _raw(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)
