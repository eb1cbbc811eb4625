"""What waits for a person: the reasons, and the sort orders of the list."""

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
    """The sort order. An item without an amount or a deadline is not in a list sorted by it."""

    OLDEST = "oldest"
    NEWEST = "newest"
    AMOUNT_HIGH = "amount_high"
    AMOUNT_LOW = "amount_low"
    DEADLINE = "deadline"
