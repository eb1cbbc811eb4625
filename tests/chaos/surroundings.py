"""What a battered cluster stands on: a disk of little room, a database with a clock of its own, a generous provider."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ROOM: Final = "700m"


class Everybody:
    """Whoever is asked for has an account."""

    def __contains__(self, name: object) -> bool:
        return True


@contextmanager
def little_room(folder: Path) -> Iterator[bool]:
    """A file system of little room at the folder; yields whether there could be one. It takes root to mount it."""
    folder.mkdir()
    mounted = [*("-t", "tmpfs", "-o", f"size={_ROOM},mode=755", "tmpfs"), str(folder)]
    fills = not subprocess.run(["mount", *mounted], check=False, capture_output=True).returncode
    try:
        yield fills
    finally:
        if fills:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


#: From here on `now()` in a statement, and as the default of a column, is a function of the test's.
A_CLOCK_OF_ITS_OWN: Final = b"""
CREATE SCHEMA test_clock;
CREATE TABLE test_clock.ahead (seconds double precision NOT NULL);
INSERT INTO test_clock.ahead VALUES (0);
CREATE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    'SELECT pg_catalog.transaction_timestamp() + make_interval(secs => (SELECT seconds FROM test_clock.ahead))';
DO $$ DECLARE its record; BEGIN
    FOR its IN SELECT table_name AS of, column_name AS name FROM information_schema.columns
               WHERE column_default = 'now()' AND table_schema = 'public' LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT test_clock.now()', its.of, its.name);
    END LOOP;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, test_clock, pg_catalog', current_database());
END $$;
"""
