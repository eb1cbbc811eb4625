"""The secrets of a local stack, made at its first start and readable by their owner only.

`pepper` keys the hashes that identities are matched by; `signing.pem` signs decisions, for the API alone; `verify.json`
lists the public keys that decisions are verified by. In a cluster the same three come from its secret store.
"""

import json
import secrets
import sys
from pathlib import Path
from typing import NamedTuple

from referral_rewards.config.stack import keys_folder
from referral_rewards.register.decisions.signing import Signer


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
        signer = Signer.generate()
        listed = json.loads(keys.verify_keys.read_text()) if keys.verify_keys.exists() else []
        # The list first: a signature made meanwhile would otherwise have no key to be verified by.
        _write(keys.verify_keys, json.dumps([*listed, signer.public_entry()], indent=2).encode())
        _write(keys.signing_key, signer.pem())
    return keys


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)


if __name__ == "__main__":
    # For the first day of a cluster: makes FOLDER/keys, to fill its secret store from.
    for path in ensure_keys(Path(sys.argv[1])):
        print(path)
