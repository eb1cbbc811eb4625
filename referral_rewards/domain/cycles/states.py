"""The states of a payout cycle."""

from enum import StrEnum
from typing import Final


class CycleState(StrEnum):
    """The state of a cycle. It is paid only while it is released, and only a signed decision releases it."""

    COLLECTING = "collecting"
    FROZEN = "frozen"
    RELEASED = "released"
    STOPPED = "stopped"
    DONE = "done"


#: It continues without a person.
GOES_ON: Final = frozenset({CycleState.COLLECTING, CycleState.RELEASED})
#: It waits for finance.
WAITS: Final = frozenset({CycleState.FROZEN, CycleState.STOPPED})
