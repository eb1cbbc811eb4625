"""What we call the codes of letters: which, to whom, and where they stand."""

from collections.abc import Mapping
from typing import Final

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "letter": {
        "claim_reminder": "reminder to accept the invitation",
        "approved": "reward approved",
        "approval_cancelled": "approval cancelled",
        "left_out": "reward left out",
        "evidence_requested": "request for evidence",
        "rewarded": "reward paid",
        "satisfaction_survey": "satisfaction survey",
        "denied": "reward denied",
        "expired": "referral expired",
        "withdrawn": "referral withdrawn",
        "clawed_back": "reward taken back",
        "given_back": "reward paid again",
        "approval_reminder": "reminder to decide",
        "approval_escalation": "escalation of an overdue claim",
        "method_needed": "request for a payment method",
        "appeal_admitted": "appeal admitted",
        "appeal_rejected": "appeal rejected",
        "method_changed": "warning of a changed payment method",
    },
    "letter_state": {
        "waiting": "waiting",
        "held": "held until contact hours",
        "sent": "sent",
        "suppressed": "not sent",
        "undeliverable": "undeliverable",
        "failed": "failed",
    },
    "letter_state_for_them": {
        "sent": "sent to you",
        "waiting": "on its way",
        "held": "will be sent during contact hours",
    },
    "audience": {
        "referrer": "referrer",
        "referee": "referee",
        "account": "user, about their account",
        "approvers": "approver",
        "webhook": "webhook",
    },
}
