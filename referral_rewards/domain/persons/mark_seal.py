"""The seal over the marks of a fact whose text was erased: nothing else shows any more that they are its own. Pure."""

import hashlib
from collections.abc import Iterable


def sealed(marks: Iterable[str], salt: bytes) -> str:
    """Return ``salt:hash`` in hex: SHA-256 over the salt (16 bytes) and the sorted marks, each with a line feed."""
    said = "".join(f"{mark}\n" for mark in sorted(marks))
    return f"{salt.hex()}:{hashlib.sha256(salt + said.encode()).hexdigest()}"
