"""What settings of every room are made of: how their variables begin, and what an address and a secret look like."""

import base64
import binascii
from typing import Annotated, Final

from pydantic import StringConstraints

#: How the variable of each setting begins.
PREFIX: Final = "REFERRALS_"
PEPPER_BYTES_MIN: Final = 16

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


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
