"""The kinds of decision on a claim, and the reason codes of each kind."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

NOTE_LENGTH_MAX: Final = 2000
#: The most claims in one bulk decision.
TOGETHER_MAX: Final = 1_000


class DecisionKind(StrEnum):
    """A decision that an approver can record."""

    APPROVE = "approve"
    DENY = "deny"
    HOLD = "hold"
    RELEASE = "release"
    REQUEST_EVIDENCE = "request_evidence"
    REOPEN = "reopen"
    REASSIGN = "reassign"
    ADJUST = "adjust"
    LINK = "link"


#: The reason codes of each kind of decision.
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
    DecisionKind.ADJUST: ("exception_granted", "goodwill", "misconduct", "error_corrected", "other"),
    DecisionKind.LINK: ("colleague_bought", "other_account", "support_case", "other"),
}
