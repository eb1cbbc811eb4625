"""The front door's own small store: a SQLite file that holds what is on its way, and nothing for good.

It keeps who enrolled (with a first name), invitations until they are forgotten, whom nobody may write to (as a keyed
hash), facts until the API has acknowledged them, and what limits count. One process writes it. A lost file loses
invitations that were asked for and not sent: codes are made again from the secret, and everything else is in the
register. What is deleted is overwritten.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS referrer (
    program TEXT NOT NULL, customer TEXT NOT NULL, code TEXT NOT NULL UNIQUE, first_name TEXT NOT NULL,
    enrolled_at TEXT NOT NULL, PRIMARY KEY (program, customer)
) STRICT;
CREATE TABLE IF NOT EXISTS invitation (
    id TEXT PRIMARY KEY, program TEXT NOT NULL, customer TEXT NOT NULL, mark TEXT NOT NULL, mask TEXT NOT NULL,
    email TEXT, name TEXT, state TEXT NOT NULL, why TEXT, asked_at TEXT NOT NULL, sent_at TEXT,
    tries INTEGER NOT NULL DEFAULT 0, due_at TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS ix_invitation_referrer ON invitation (program, customer, asked_at);
CREATE INDEX IF NOT EXISTS ix_invitation_mark ON invitation (mark, sent_at);
CREATE INDEX IF NOT EXISTS ix_invitation_due ON invitation (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS suppression (mark TEXT PRIMARY KEY, why TEXT NOT NULL, since TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS untold (
    id TEXT PRIMARY KEY, fact TEXT NOT NULL, told_at TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    due_at TEXT NOT NULL, trouble TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS ix_outbox_due ON untold (due_at);
CREATE TABLE IF NOT EXISTS attempt (key TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS ix_attempt ON attempt (key, at);
"""


class Store:
    """The open file. Each function that is handed to `write` or `read` runs alone, in a thread, in one transaction."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "site.sqlite3"
        path.touch(mode=0o600)
        self._alone = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)

    async def write(
        self, change: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Return the result of a change that is stored, safe from a crash, when this returns; one that raises changed
        nothing."""
        return await asyncio.to_thread(self._within, "BEGIN IMMEDIATE", lambda it: change(it, *args, **named))

    async def read(self, look: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
        """Return what is found, all at one moment."""
        return await asyncio.to_thread(self._within, "BEGIN", lambda it: look(it, *args, **named))

    async def overwrite(self) -> None:
        """Have nothing left in the files of what was deleted: the log of changes still held it."""
        await asyncio.to_thread(self._checkpoint)

    def close(self) -> None:
        """Close the file; what was written is in it."""
        with self._alone:
            self._connection.close()

    def _checkpoint(self) -> None:
        with self._alone:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _within(self, begin: str, done: Callable[[sqlite3.Connection], T]) -> T:
        with self._alone:
            self._connection.execute(begin)
            try:
                found = done(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            return found


def moment(at: datetime) -> str:
    """Return an instant as the store holds it: texts of instants in UTC sort as these do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def instant(text: str) -> datetime:
    """Return the instant of a text that `moment` made."""
    return datetime.fromisoformat(text)
