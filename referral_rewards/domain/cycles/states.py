"""Where a payout cycle stands."""

from enum import StrEnum
from typing import Final


class CycleState(StrEnum):
    """Where a cycle stands. It is paid only while it is released, and nothing but a signed decision releases it."""

    COLLECTING = "collecting"
    FROZEN = "frozen"
    RELEASED = "released"
    STOPPED = "stopped"
    DONE = "done"


#: It goes on by itself.
GOES_ON: Final = frozenset({CycleState.COLLECTING, CycleState.RELEASED})
#: It waits for finance.
WAITS: Final = frozenset({CycleState.FROZEN, CycleState.STOPPED})
