"""Where settings are found: the prefix of their variables, and the data folder of a local stack on this machine."""

import base64
import binascii
import json
from pathlib import Path
from typing import Final, Literal, NamedTuple


class StackInfo(NamedTuple):
    """The content of ``DATA/stack.json``: the URLs of the parts of a running local stack. ``database_url`` is that of
    whoever migrates and administers the database; the API and workers have their own, if their roles do."""

    api: str
    temporal: str
    web_ui: str
    database_url: str
    api_database_url: str | None = None
    worker_database_url: str | None = None

    def __repr__(self) -> str:
        """Without the passwords in the database's URLs."""
        return f"StackInfo(api={self.api!r}, temporal={self.temporal!r}, web_ui={self.web_ui!r})"

    def url_for(self, process: Literal["api", "worker"]) -> str:
        """Return the database's URL for a process."""
        own = {"api": self.api_database_url, "worker": self.worker_database_url}
        return own[process] or self.database_url


def stack_file(data: Path) -> Path:
    """Return the path of the file that exists only while a local stack is ready."""
    return data / "stack.json"


def keys_folder(data: Path) -> Path:
    """Return the folder with a local stack's secrets, which only its owner can read."""
    return data / "keys"


def local_stack(data: Path) -> StackInfo | None:
    """Return the local stack that runs on `data`, or None if there is none."""
    try:
        return StackInfo(**json.loads(stack_file(data).read_text()))
    except (OSError, ValueError, TypeError):
        return None


#: The prefix of every setting's variable.
PREFIX: Final = "REFERRALS_"
PEPPER_BYTES_MIN: Final = 16


def with_driver(url: str) -> str:
    """Return a PostgreSQL URL with our driver named, so that URLs from a person or a cloud work unchanged.

    Raises ValueError if it is not a PostgreSQL URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("must begin with postgresql://")
    return f"postgresql+psycopg://{rest}"


def decode_secret(text: str) -> bytes:
    """Decode a secret in hex or base64. Raises ValueError if it is neither, or shorter than 16 bytes."""
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        try:
            secret = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("must be hex or base64") from None
    if len(secret) < PEPPER_BYTES_MIN:
        raise ValueError(f"must be at least {PEPPER_BYTES_MIN} bytes, this is {len(secret)}")
    return secret


#: What a sealing key has, no more and no less.
KEY_BYTES: Final = 32


def decode_keys(text: str) -> tuple[bytes, ...]:
    """Decode keys of 32 bytes in hex or base64, with commas between them. Raises ValueError naming the wrong one."""
    keys = []
    for number, each in enumerate(text.split(","), 1):
        try:
            key = decode_secret(each.strip())
        except ValueError as error:
            raise ValueError(f"key {number} {error}") from None
        if len(key) != KEY_BYTES:
            raise ValueError(f"key {number} must be {KEY_BYTES} bytes, this is {len(key)}")
        keys.append(key)
    return tuple(keys)
