"""Which of the providers' documents were read when the rails were written, by their hashes.

`make documents` runs this over what it fetched: a document that changed is looked at by a person before tests are held
to it, because a rail may have to change with it.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: By file, as it is fetched. PayPal's is of the commit that the Makefile names. The others could not be fetched where
#: this was written: `make documents` prints their hashes, to be entered once somebody has compared them.
PINS: Final[Mapping[str, str]] = {
    "paypal.json": "36cc4507dfadf3269931973a2cacd493705f25cf2870db3167f6d5187e4dff74",
}
_FETCHED: Final = ("stripe.json", "paypal.json", "tremendous.yml")


def complaints(folder: Path, pins: Mapping[str, str] = PINS) -> list[str]:
    """Return what is wrong with the pinned documents in the folder, one sentence each."""
    found = []
    for name, expected in pins.items():
        digest = _digest(folder / name)
        if digest is None:
            found.append(f"{name} is missing")
        elif digest != expected:
            found.append(f"{name} is not the document that was read: its SHA-256 is {digest}")
    return found


def unpinned(folder: Path, pins: Mapping[str, str] = PINS) -> list[str]:
    """Return the hash and name of each fetched document that no pin holds yet."""
    digests = {name: _digest(folder / name) for name in _FETCHED if name not in pins}
    return [f"{digest}  {name}" for name, digest in digests.items() if digest is not None]


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for line in unpinned(where):
        sys.stdout.write(f"not pinned yet: {line}\n")
    if wrong := complaints(where):
        sys.exit("\n".join(wrong))
