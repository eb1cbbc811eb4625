"""One local stack per data folder: a lock that the operating system lets go of when its holder dies."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from referral_rewards.domain.errors import LocalStackError

#: The file in a data folder that is locked.
LOCK: Final = "lock"


@contextmanager
def data_lock(data: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds `data`, made if need be, for the length of the block. Raises LocalStackError when another process does.

    The file names the holder's pid and is emptied at a clean end; a pid found in a file that nobody locks is a run that
    was interrupted, which `say` is told.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK).open("a+") as file:
        file.seek(0)
        holder = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalStackError(
                f"{data} is in use by another local stack (process {holder or 'unknown'}); "
                "stop that one, or choose another folder with --data"
            ) from None
        if holder:
            say(f"the last run on {data} (process {holder}) was interrupted; taking over from it")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
