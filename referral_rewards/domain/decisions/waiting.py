"""What waits for a person: the reasons, the sort orders of the list, and how long a claim may wait (SPEC §6)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line shows what waits, and waits for nothing that checks terms
    from referral_rewards.domain.programs.terms import Terms


class Waits(StrEnum):
    """Why something waits for a person: a claim for its approvers, or one of the exceptions."""

    APPROVAL = "approval"
    LATE_FACT = "late_fact"
    APPEAL = "appeal"
    CLAWBACK = "clawback"
    PAYOUT_MANUAL_REVIEW = "payout_manual_review"
    PAYOUT_REFUSED = "payout_refused"
    PAYOUT_RETURNED = "payout_returned"
    PAYOUT_WAITING_FUNDS = "payout_waiting_funds"
    PAYOUT_UNKNOWN = "payout_unknown"
    PAYOUT_APPROVED = "payout_approved"
    PAYOUT_ACCEPTED = "payout_accepted"
    WAITING_METHOD = "waiting_method"
    CYCLE = "cycle"
    RAIL_HALTED = "rail_halted"  # after a restore of the register, until finance opens it again
    RAIL_SHUT = "rail_shut"  # it rejects our credentials or our account, until it answers again
    FORGOTTEN_PAYMENT = "forgotten_payment"
    REPORTED = "reported"
    CLOSED_IN_CONFLICT = "closed_in_conflict"  # read otherwise, what is told of an order would have let it qualify
    PARKED = "parked"  # facts wait for terms, or for what begins their referral
    UNLINKED_CLAIM = "unlinked_claim"  # of a code that nobody has, or several
    UNLINKED_ORDER = "unlinked_order"  # with a referrer's code, and of no referral
    UNREAD_EVENT = "unread_event"  # events of a source that can't be read, or that wait for others in vain


class Sort(StrEnum):
    """The sort order. An item without an amount or a deadline is not in a list sorted by it."""

    OLDEST = "oldest"
    NEWEST = "newest"
    AMOUNT_HIGH = "amount_high"
    AMOUNT_LOW = "amount_low"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Patience:
    """When a waiting claim becomes overdue, and when it is escalated. It stays pending: neither decides anything."""

    remind_at: datetime
    escalate_at: datetime


def patience(since: datetime, terms: "Terms") -> Patience:
    """Return both instants for a claim that has waited for approval ``since``, on the program's calendar."""
    return Patience(terms.end(since, terms.approval.remind_after), terms.end(since, terms.approval.escalate_after))
