"""What we call the codes of referrals: where they stand and why, and what is told and asked of them."""

from collections.abc import Mapping
from typing import Final

_STATUS: Final = {
    "invited": "invited",
    "purchased_unclaimed": "purchased, not claimed",
    "claimed": "claimed",
    "in_return_period": "in return period",
    "in_review": "in review",
    "awaiting_approval": "awaiting approval",
    "on_hold": "on hold",
    "approved": "approved",
    "paying": "being paid",
    "rewarded": "rewarded",
    "clawed_back": "clawed back",
    "expired": "expired",
    "denied": "denied",
    "withdrawn": "withdrawn",
}

#: For a referrer or referee, who knows nothing of claims and clawbacks.
_STATUS_FOR_THEM: Final = {
    **_STATUS,
    "invited": "invitation sent",
    "purchased_unclaimed": "invitation not accepted yet",
    "claimed": "invitation accepted",
    "in_return_period": "waiting for the return period to end",
    "awaiting_approval": "waiting for approval",
    "rewarded": "paid",
    "clawed_back": "taken back",
}

#: Why a referral closed without a reward, or, while it is not judged, what it waits for.
_REASON: Final = {
    "grace_period_ended": "grace period ended",
    "invitation_not_claimed": "invitation not claimed in time",
    "no_conversion": "no qualifying conversion",
    "conversion_reversed": "conversion reversed",
    "program_not_active": "program not active",
    "referrer_suspended": "referrer suspended",
    "referrer_not_enrolled": "referrer not enrolled in time",
    "existing_customer": "existing customer",
    "duplicate_claim": "duplicate of a rewarded referral",
    "cap_reached": "referrer's cap reached",
    "consent_withdrawn": "consent withdrawn",
    "attribution_lost": "attributed to another referral",
    "denied_by_decision": "denied by decision",
    "referral_unknown": "no invitation or claim received yet",
    "no_terms_in_force": "no terms in force when it began",
    "not_started": "its workflow has not started yet",
}

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "status": _STATUS,
    "status_for_them": _STATUS_FOR_THEM,
    "reason": _REASON,
    "side": {"referrer": "referrer", "referee": "referee"},
    "channel": {
        "email": "email",
        "social": "social media",
        "link": "link",
        "word_of_mouth": "word of mouth",
        "lead": "lead",
    },
    "consent": {"contact": "being contacted", "public_advocacy": "public advocacy"},
    "conversion": {"account_opened": "account opening"},
    "reversal": {
        "refund": "refund",
        "return": "return",
        "cancellation": "cancellation",
        "chargeback_lost": "lost payment dispute",
    },
    "moment": {
        "report": "when it was reported",
        "assembly": "at the end of the return period",
        "approval": "at approval",
        "payout": "before payment",
    },
    "answer": {"confirmed": "confirmed", "contradicted": "not confirmed", "unavailable": "no answer"},
}
