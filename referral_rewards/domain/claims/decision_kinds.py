"""What can be decided on a claim, and the reason codes that each kind of decision takes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

NOTE_LENGTH_MAX: Final = 2000
#: So many claims are decided on at once.
TOGETHER_MAX: Final = 1_000


class DecisionKind(StrEnum):
    """What an approver can record."""

    APPROVE = "approve"
    DENY = "deny"
    HOLD = "hold"
    RELEASE = "release"
    REQUEST_EVIDENCE = "request_evidence"
    REOPEN = "reopen"
    REASSIGN = "reassign"


#: The reason codes each kind of decision takes.
REASON_CODES: Final[Mapping[DecisionKind, tuple[str, ...]]] = {
    DecisionKind.APPROVE: ("terms_met", "verified", "attribution_settled", "exception_granted", "goodwill"),
    DecisionKind.DENY: (
        "terms_not_met",
        "fraud",
        "self_referral",
        "duplicate",
        "attribution_lost",
        "existing_customer",
        "evidence_insufficient",
        "other",
    ),
    DecisionKind.HOLD: ("under_investigation", "awaiting_evidence", "customer_issue", "dispute_open", "other"),
    DecisionKind.RELEASE: ("cleared", "evidence_received", "other"),
    DecisionKind.REQUEST_EVIDENCE: ("proof_of_conversion", "identity", "attribution", "payment_details", "other"),
    DecisionKind.REOPEN: ("appeal_upheld", "late_fact", "error_corrected", "other"),
    DecisionKind.REASSIGN: ("attribution_corrected", "support_case", "partner_agreement", "other"),
}
