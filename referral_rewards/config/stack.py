"""How settings are found: the prefix of their variables, and the folder of a local stack that runs on this machine."""

import base64
import binascii
import json
from pathlib import Path
from typing import Final, NamedTuple


class StackInfo(NamedTuple):
    """``DATA/stack.json``: where the parts of a running local stack listen."""

    api: str
    temporal: str
    web_ui: str
    database_url: str


def stack_file(data: Path) -> Path:
    """The file that exists exactly while a local stack is ready."""
    return data / "stack.json"


def keys_folder(data: Path) -> Path:
    """Where a local stack keeps its secrets, readable by its owner only."""
    return data / "keys"


def local_stack(data: Path) -> StackInfo | None:
    """The local stack that runs on `data`, or None when there is none."""
    try:
        return StackInfo(**json.loads(stack_file(data).read_text()))
    except (OSError, ValueError, TypeError):
        return None


#: How the variable of each setting begins.
PREFIX: Final = "REFERRALS_"
PEPPER_BYTES_MIN: Final = 16


def with_driver(url: str) -> str:
    """The URL with our driver named, so that what a person or a cloud hands out works as it is.

    Raises ValueError when it is not one of PostgreSQL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError("must begin with postgresql://")
    return f"postgresql+psycopg://{rest}"


def decode_secret(text: str) -> bytes:
    """Bytes of a secret written in hex or base64. Raises ValueError when it is neither, or shorter than 16 bytes."""
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
