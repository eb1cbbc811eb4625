"""Where a referral can stand, and from where it can go: the transition table as data (SPEC §4)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ReferralStatus(StrEnum):
    """Where a referral stands."""

    INVITED = "invited"
    PURCHASED_UNCLAIMED = "purchased_unclaimed"
    CLAIMED = "claimed"
    IN_RETURN_PERIOD = "in_return_period"
    IN_REVIEW = "in_review"
    AWAITING_APPROVAL = "awaiting_approval"
    ON_HOLD = "on_hold"
    APPROVED = "approved"
    PAYING = "paying"
    REWARDED = "rewarded"
    CLAWED_BACK = "clawed_back"
    EXPIRED = "expired"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


class Reason(StrEnum):
    """Why a referral closed without a reward."""

    GRACE_PERIOD_ENDED = "grace_period_ended"
    INVITATION_NOT_CLAIMED = "invitation_not_claimed"
    NO_CONVERSION = "no_conversion"
    CONVERSION_REVERSED = "conversion_reversed"
    PROGRAM_NOT_ACTIVE = "program_not_active"
    REFERRER_SUSPENDED = "referrer_suspended"
    REFERRER_NOT_ENROLLED = "referrer_not_enrolled"
    EXISTING_CUSTOMER = "existing_customer"
    CAP_REACHED = "cap_reached"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    ATTRIBUTION_LOST = "attribution_lost"
    DENIED_BY_DECISION = "denied_by_decision"


_S = ReferralStatus

#: Where the four periods alone decide (`periods.py`). New facts about the past move a referral freely among them.
TIMED: Final = frozenset({_S.INVITED, _S.PURCHASED_UNCLAIMED, _S.CLAIMED, _S.IN_RETURN_PERIOD, _S.IN_REVIEW})
#: Nothing is waited for any more; only the decision `reopen` leads out.
CLOSED: Final = frozenset({_S.EXPIRED, _S.DENIED, _S.WITHDRAWN, _S.CLAWED_BACK})
#: No conversion of it counts yet, and one still may.
WITHOUT_CONVERSION: Final = frozenset({_S.INVITED, _S.PURCHASED_UNCLAIMED, _S.CLAIMED})
#: Its claim is in the queue.
WITH_APPROVERS: Final = frozenset({_S.AWAITING_APPROVAL, _S.ON_HOLD})
#: Its claim was shown to people, and what it was judged by may still change.
BEFORE_PAYMENT: Final = WITH_APPROVERS | {_S.APPROVED}
#: The first payment is committed: what it was for is frozen.
PAID: Final = frozenset({_S.PAYING, _S.REWARDED, _S.CLAWED_BACK})
#: Its claim was approved, whatever came of it.
APPROVED_OR_PAID: Final = PAID | {_S.APPROVED}
#: Where a fresh referral may stand at once: its facts may all lie in the past. Holding and approving take a person.
ENTRIES: Final = TIMED | {_S.AWAITING_APPROVAL, _S.EXPIRED, _S.DENIED, _S.WITHDRAWN}

#: From where to where. `approved` is the only way to `paying`, and `paying` the only way to `rewarded`.
TRANSITIONS: Final[Mapping[ReferralStatus, frozenset[ReferralStatus]]] = {
    **{status: ENTRIES - {status} for status in TIMED},
    # A reversal leads back to an earlier status or to `denied`.
    _S.AWAITING_APPROVAL: ENTRIES - {_S.AWAITING_APPROVAL} | {_S.ON_HOLD, _S.APPROVED},
    # A release brings back the approvals made before the hold.
    _S.ON_HOLD: ENTRIES | {_S.APPROVED},
    # An approval is void when the claim changes. A withdrawal counts that happened before it and is heard of after.
    _S.APPROVED: ENTRIES | {_S.ON_HOLD, _S.PAYING},
    # `denied`: every leg was refused and cancelled by decision, so nothing was paid.
    # `clawed_back`: what was paid of it was taken back before the rest came to an end.
    _S.PAYING: frozenset({_S.REWARDED, _S.DENIED, _S.CLAWED_BACK}),
    _S.REWARDED: frozenset({_S.CLAWED_BACK}),
    # A reopened referral is judged like a fresh one.
    **{status: ENTRIES - {status} for status in CLOSED},
}


class ImpossibleTransition(RuntimeError):
    """A bug of ours: no rule leads from the one status to the other."""

    def __init__(self, current: ReferralStatus | None, to: ReferralStatus) -> None:
        self.current, self.to = current, to
        super().__init__(f"no transition leads from {current or 'the beginning'} to {to}")


def advance(current: ReferralStatus | None, to: ReferralStatus) -> ReferralStatus:
    """``to``, if a referral that stands at ``current`` (None: a fresh one) can go there or is there.

    Raises:
        ImpossibleTransition: if it can't.
    """
    if to != current and to not in (ENTRIES if current is None else TRANSITIONS[current]):
        raise ImpossibleTransition(current, to)
    return to
