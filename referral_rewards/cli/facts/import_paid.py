"""What the old tool paid, kept on disk while a file is imported: a million rows need no more memory than one.

Nothing readable is kept, only keyed hashes under a key that is gone with the command.
"""

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from referral_rewards.domain.imports.standing import Key, Left

_AT_ONCE: Final = 500
_CACHE_KIBIBYTES: Final = 8_000


class Place(NamedTuple):
    """Where a reward stands that the tool paid, or that nobody can tell of."""

    file: str
    line: int
    left: Left


class PaidByTool:
    """The referrals, orders and people of which the tool paid a reward, or perhaps did."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database, self._key = database, os.urandom(32)
        self._waiting: list[tuple[bytes, str, int, str]] = []
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        # The file is deleted with the command: there is nothing to be saved from a crash.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "CREATE TABLE paid (key BLOB PRIMARY KEY, file TEXT, line INTEGER, left_as TEXT) WITHOUT ROWID"
        )

    def add(self, keys: Iterable[Key], place: Place) -> None:
        """Keeps what a row names. The first place of a key stays, but one that was paid goes before one unknown."""
        self._waiting += [(self._hashed(key), place.file, place.line, place.left.value) for key in keys]
        if len(self._waiting) >= _AT_ONCE:
            self._flush()

    def of(self, keys: Iterable[Key]) -> tuple[Key, Place] | None:
        """The first of the keys that is kept, with its place; None if there is none."""
        self._flush()
        for key in keys:
            found = self._database.execute(
                "SELECT file, line, left_as FROM paid WHERE key = ?", (self._hashed(key),)
            ).fetchone()
            if found is not None:
                return key, Place(found[0], found[1], Left(found[2]))
        return None

    def _flush(self) -> None:
        if self._waiting:
            self._database.executemany(_KEEP, [(*each, Left.PAID) for each in self._waiting])
            self._waiting.clear()

    def _hashed(self, key: Key) -> bytes:
        return hashlib.blake2b(f"{key.what}\x00{key.value}".encode(), key=self._key, digest_size=16).digest()


_KEEP: Final = """
INSERT INTO paid VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE
SET file = excluded.file, line = excluded.line, left_as = excluded.left_as
WHERE excluded.left_as = ?5 AND paid.left_as <> ?5
"""


@contextmanager
def paid_by_tool() -> Iterator[PaidByTool]:
    """A store that is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="referrals-import-") as folder:
        database = sqlite3.connect(Path(folder) / "paid.sqlite", isolation_level=None)
        try:
            yield PaidByTool(database)
        finally:
            database.close()
