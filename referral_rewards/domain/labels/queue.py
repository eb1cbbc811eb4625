"""What we call the codes of the queue: what waits for a person, and how lists are sorted."""

from collections.abc import Mapping
from typing import Final

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "waits": {
        "approval": "approval",
        "late_fact": "late fact",
        "appeal": "appeal",
        "clawback": "clawback case",
        "payout_manual_review": "payout to look into",
        "payout_refused": "refused payout",
        "payout_returned": "returned payout",
        "payout_waiting_funds": "payout waiting for funds",
        "payout_unknown": "payout with unknown outcome",
        "payout_approved": "instruction to export",
        "payout_accepted": "payment to confirm",
        "waiting_method": "reward that waits for a payment method",
        "cycle": "payout cycle to release",
        "rail_halted": "rail to open again",
        "rail_shut": "rail that does not let us in",
        "forgotten_payment": "forgotten payment",
        "reported": "reported purchase",
        "closed_in_conflict": "closed, records differ",
        "parked": "parked facts",
        "unlinked_claim": "claim without a referrer",
        "unlinked_order": "order without a referral",
        "unread_event": "events not read",
    },
    "sort": {
        "oldest": "oldest first",
        "newest": "newest first",
        "deadline": "next deadline first",
        "amount_high": "highest amount first",
        "amount_low": "lowest amount first",
        "id": "by id",
        "name": "by name, A to Z",
        "name_down": "by name, Z to A",
    },
}
