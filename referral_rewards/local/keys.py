"""The secrets of a local stack. They are created at its first start, and only their owner can read them.

`pepper` is the key of the hashes that match identities. `signing.pem` signs decisions and is for the API only.
`verify.json` lists the public keys that verify decisions. `sealing` seals secrets in the register, for the API only.
`personal` seals personal data in the register, for the API and the workers. In a cluster all five come from its secret
store.
"""

import json
import secrets
import sys
from pathlib import Path
from typing import NamedTuple

from referral_rewards.config.stack import keys_folder
from referral_rewards.register.decisions.signing import Signer


class Keys(NamedTuple):
    """The paths of a local stack's secrets."""

    pepper: Path
    signing_key: Path
    verify_keys: Path
    sealing: Path
    personal: Path


def ensure_keys(data: Path) -> Keys:
    """Return the keys of the stack on `data`, and create missing ones. Existing keys are never replaced, because hashes
    and signatures depend on them."""
    folder = keys_folder(data)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    keys = Keys(
        *(folder / "pepper", folder / "signing.pem", folder / "verify.json"),
        *(folder / "sealing", folder / "personal"),
    )
    if not keys.pepper.exists():
        _write(keys.pepper, secrets.token_hex(32).encode())
    for sealing in (keys.sealing, keys.personal):
        if not sealing.exists():
            _write(sealing, secrets.token_hex(32).encode())
    if not keys.signing_key.exists():
        signer = Signer.generate()
        listed = json.loads(keys.verify_keys.read_text()) if keys.verify_keys.exists() else []
        # Write the list first, so that a public key exists for every signature made meanwhile.
        _write(keys.verify_keys, json.dumps([*listed, signer.public_entry()], indent=2).encode())
        _write(keys.signing_key, signer.pem())
    return keys


def secret(data: Path, name: str) -> str:
    """Return a secret of the stack by its file's name; it is made once, and only its owner can read it."""
    path = keys_folder(data) / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, secrets.token_hex(32).encode())
    return path.read_text()


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically. Others can never read it, not even for a moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)


if __name__ == "__main__":
    # For setting up a cluster: creates FOLDER/keys, to fill its secret store from.
    for path in ensure_keys(Path(sys.argv[1])):
        print(path)
