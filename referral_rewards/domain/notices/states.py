"""Where a message to somebody stands."""

from enum import StrEnum


class NoticeState(StrEnum):
    """Where a message stands; all but the first two are final."""

    WAITING = "waiting"  # for its moment, or for its next try
    HELD = "held"  # until the contact hours open
    SENT = "sent"
    SUPPRESSED = "suppressed"  # it would have come at a bad time, or had nothing left to say
    UNDELIVERABLE = "undeliverable"  # nobody to write to, or refused for good
    FAILED = "failed"  # tried for days
