"""The states of a message."""

from enum import StrEnum


class NoticeState(StrEnum):
    """The state of a message; all but the first two are final."""

    WAITING = "waiting"  # for its time, or for its next attempt
    HELD = "held"  # until the contact hours open
    SENT = "sent"
    SUPPRESSED = "suppressed"  # it would have come at a bad time, or was out of date
    UNDELIVERABLE = "undeliverable"  # no recipient, or refused for good
    FAILED = "failed"  # given up after days of attempts
