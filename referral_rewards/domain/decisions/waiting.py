"""What waits for a person: why, and in which order it is listed."""

from enum import StrEnum


class Waits(StrEnum):
    """Why something waits for a person: a claim for its approvers, or one of the exceptions."""

    APPROVAL = "approval"
    LATE_FACT = "late_fact"
    CLAWBACK = "clawback"
    PAYOUT_MANUAL_REVIEW = "payout_manual_review"
    PAYOUT_REFUSED = "payout_refused"
    PAYOUT_RETURNED = "payout_returned"
    PAYOUT_WAITING_FUNDS = "payout_waiting_funds"
    PAYOUT_UNKNOWN = "payout_unknown"
    PAYOUT_ACCEPTED = "payout_accepted"
    CYCLE = "cycle"
    REPORTED = "reported"


class Sort(StrEnum):
    """In which order. What has no amount, or no deadline, is in no list that is sorted by it."""

    OLDEST = "oldest"
    NEWEST = "newest"
    AMOUNT_HIGH = "amount_high"
    AMOUNT_LOW = "amount_low"
    DEADLINE = "deadline"
