"""The two sides of a referral, its statuses, and the transitions between them, as data (SPEC §4)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """Who is rewarded."""

    REFERRER = "referrer"
    REFEREE = "referee"


class ReferralStatus(StrEnum):
    """The status of a referral."""

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
    DUPLICATE_CLAIM = "duplicate_claim"
    CAP_REACHED = "cap_reached"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    ATTRIBUTION_LOST = "attribution_lost"
    DENIED_BY_DECISION = "denied_by_decision"


#: Reasons that lie with the referrer: what is told of the referrer later may undo them.
OF_REFERRER: Final = frozenset({Reason.REFERRER_SUSPENDED, Reason.REFERRER_NOT_ENROLLED})

_S = ReferralStatus

#: The four periods alone decide (`periods.py`). New facts about the past move a referral freely among these.
TIMED: Final = frozenset({_S.INVITED, _S.PURCHASED_UNCLAIMED, _S.CLAIMED, _S.IN_RETURN_PERIOD, _S.IN_REVIEW})
#: There is nothing left to wait for; only the decision `reopen` leads out.
CLOSED: Final = frozenset({_S.EXPIRED, _S.DENIED, _S.WITHDRAWN, _S.CLAWED_BACK})
#: No conversion of it counts yet, and one still may.
WITHOUT_CONVERSION: Final = frozenset({_S.INVITED, _S.PURCHASED_UNCLAIMED, _S.CLAIMED})
#: Its claim is in the queue.
WITH_APPROVERS: Final = frozenset({_S.AWAITING_APPROVAL, _S.ON_HOLD})
#: Its claim was shown to people, and the facts it was judged by may still change.
BEFORE_PAYMENT: Final = WITH_APPROVERS | {_S.APPROVED}
#: The first payment is committed: the claim it pays is frozen.
PAID: Final = frozenset({_S.PAYING, _S.REWARDED, _S.CLAWED_BACK})
#: Its claim was approved, whatever the outcome.
APPROVED_OR_PAID: Final = PAID | {_S.APPROVED}
#: The first status of a new referral, whose facts may all lie in the past. Holding and approving take a person.
ENTRIES: Final = TIMED | {_S.AWAITING_APPROVAL, _S.EXPIRED, _S.DENIED, _S.WITHDRAWN}

#: From each status to the next ones. `approved` is the only way to `paying`, and `paying` the only way to `rewarded`.
TRANSITIONS: Final[Mapping[ReferralStatus, frozenset[ReferralStatus]]] = {
    **{status: ENTRIES - {status} for status in TIMED},
    # A reversal leads back to an earlier status or to `denied`.
    _S.AWAITING_APPROVAL: ENTRIES - {_S.AWAITING_APPROVAL} | {_S.ON_HOLD, _S.APPROVED},
    # A release restores the approvals made before the hold.
    _S.ON_HOLD: ENTRIES | {_S.APPROVED},
    # An approval is void when the claim changes. A withdrawal that happened before it counts even if reported later.
    _S.APPROVED: ENTRIES | {_S.ON_HOLD, _S.PAYING},
    # `denied`: every leg was refused and cancelled by decision, so nothing was paid.
    # `clawed_back`: the part that was paid was taken back before the other payments ended.
    # The rest of both: every payment was refused or returned, so that the claim is judged as before the first.
    _S.PAYING: ENTRIES | {_S.ON_HOLD, _S.REWARDED, _S.CLAWED_BACK},
    # `in_review`: reopened past its watch for another conversion, after a reward of it was taken back.
    _S.REWARDED: ENTRIES | {_S.ON_HOLD, _S.CLAWED_BACK},
    # A reopened referral is judged like a new one.
    **{status: ENTRIES - {status} for status in CLOSED},
    # `rewarded`: what was taken back wrongly went back, so that its reward stands as it did.
    _S.CLAWED_BACK: ENTRIES | {_S.REWARDED},
}


class ImpossibleTransition(RuntimeError):
    """A bug of ours: no rule leads from one status to the other."""

    def __init__(self, current: ReferralStatus | None, to: ReferralStatus) -> None:
        self.current, self.to = current, to
        super().__init__(f"no transition leads from {current or 'the beginning'} to {to}")


def advance(current: ReferralStatus | None, to: ReferralStatus) -> ReferralStatus:
    """Return ``to``, if it is ``current`` or can follow it. ``current`` is None for a new referral.

    Raises:
        ImpossibleTransition: if ``to`` can't follow ``current``.
    """
    if to != current and to not in (ENTRIES if current is None else TRANSITIONS[current]):
        raise ImpossibleTransition(current, to)
    return to
