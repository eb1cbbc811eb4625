"""The one written form of a document, over which hashes and signatures are made."""

import hashlib
import json
from collections.abc import Mapping, Sequence


def canonical(value: Mapping[str, object] | Sequence[object]) -> bytes:
    """Return JSON with sorted keys and no spaces, in UTF-8: the same document always gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_of(value: Mapping[str, object] | Sequence[object]) -> str:
    """Return the SHA-256 (hex) of the canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def ascii_sha256_of(value: Mapping[str, object]) -> str:
    """Return the SHA-256 (hex) of the canonical form with every other character escaped: requests are hashed so."""
    written = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()
