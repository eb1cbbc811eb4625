"""The words of the decision form: what each kind of decision is called, and each of its reason codes."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.claims.approval import DecisionKind

_K = DecisionKind

#: What a person does, and the key that chooses it in a browser with scripts.
KINDS: Final[Mapping[DecisionKind, tuple[str, str]]] = {
    _K.APPROVE: ("Approve", "a"),
    _K.DENY: ("Deny", "d"),
    _K.HOLD: ("Put on hold", "h"),
    _K.RELEASE: ("Release the hold", "r"),
    _K.REQUEST_EVIDENCE: ("Ask for evidence", "e"),
    _K.REASSIGN: ("Move to the other referrer", "m"),
    _K.REOPEN: ("Reopen", "o"),
}

#: Each reason code in words. One code may serve several kinds.
REASONS: Final[Mapping[str, str]] = {
    "terms_met": "The terms are met",
    "verified": "Looked into, and found right",
    "attribution_settled": "The attribution is settled",
    "exception_granted": "An exception is granted",
    "goodwill": "Goodwill",
    "terms_not_met": "The terms are not met",
    "fraud": "Fraud",
    "self_referral": "Referrer and referee are one person",
    "duplicate": "Rewarded or claimed before",
    "attribution_lost": "Another referral led to it",
    "existing_customer": "The customer is not new",
    "evidence_insufficient": "Not enough evidence",
    "under_investigation": "Being investigated",
    "awaiting_evidence": "Evidence is awaited",
    "customer_issue": "The customer has an open issue",
    "dispute_open": "A chargeback is open",
    "cleared": "Cleared",
    "evidence_received": "The evidence arrived",
    "proof_of_conversion": "Proof of the purchase",
    "identity": "Who the people are",
    "attribution": "Which referral led to it",
    "payment_details": "Where to pay to",
    "appeal_upheld": "An appeal is upheld",
    "late_fact": "Something came late that counts",
    "error_corrected": "An error is corrected",
    "attribution_corrected": "The attribution is corrected",
    "support_case": "A support case says so",
    "partner_agreement": "An agreement with a partner says so",
    "other": "Another reason, which the note gives",
}
