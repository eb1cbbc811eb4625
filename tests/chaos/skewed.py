"""`python -m tests.chaos.skewed SECONDS --role all`: a worker whose clock is ahead by so much, or behind.

Its own look at its clock would end it: that module alone reads the right time.
All of our modules read the time by `datetime.now`, so each is given another `datetime`. The servers keep their own
time.
"""

import datetime
import importlib
import sys
from typing import Final

from tests.clocks import ahead

_LOOKS: Final = "worker.clocks"
_OURS: Final = ("referral_rewards", "worker", "activities", "models")
#: So many modules read the time at least; fewer would mean that their imports have another form by now.
_READERS: Final = 20


def shift(by: datetime.timedelta) -> int:
    """Put the clock of all loaded modules of ours ahead by so much; return how many they are."""
    shifted = ahead(by)
    readers = [
        module
        for name, module in list(sys.modules.items())
        if name != _LOOKS and name.partition(".")[0] in _OURS and getattr(module, "datetime", None) is datetime.datetime
    ]
    for module in readers:
        vars(module)["datetime"] = shifted
    return len(readers)


if __name__ == "__main__":
    by = datetime.timedelta(seconds=float(sys.argv.pop(1)))
    process = importlib.import_module("worker.process")
    if by and shift(by) < _READERS:
        sys.exit("our modules do not read the time as they did")
    process.end(process.main())
