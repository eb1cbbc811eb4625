"""Explains a reward's status to its referrer or referee: what was decided, why, and what comes next.

An explanation tells one of them no more about the other than the verdict needs, and never tells a fraudster which
signal fired.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import labels
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus

_S = ReferralStatus
_R = Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an explanation is made of. ``decided_for`` is the reason code of the decision that closed it, if one did;
    ``taken_back_for`` the reason code of the decision by which a reward was taken back."""

    status: ReferralStatus
    reason: Reason | None
    terms: Terms
    began_at: datetime
    deadline: datetime | None = None
    claim_by: datetime | None = None
    offer_ends: datetime | None = None
    converted_at: datetime | None = None
    decided_for: str | None = None
    decided_at: datetime | None = None
    paid_at: datetime | None = None
    taken_back_at: datetime | None = None
    taken_back_for: str | None = None
    program_ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened and ``why``, what comes ``next`` (None: nothing), and how to ``appeal`` where that is possible."""

    why: str
    next: str | None = None
    appeal: str | None = None


def explain(situation: Situation) -> Explanation:
    """Return the explanation of a referral's status; every status and every reason has one."""
    if situation.status in (_S.EXPIRED, _S.DENIED) and situation.reason is not None:
        return Explanation(_REASONS[situation.reason](situation), appeal=_APPEAL)
    why, comes = _STATUSES[situation.status]
    return Explanation(why(situation), comes(situation) if comes else None)


def why_left_out(reason: str) -> str:
    """Explain to one side why its reward was left out, by the reason code of the decision."""
    why = _LEFT_OUT.get(reason, _LEFT_OUT["other"])
    return f"There is no reward for you: a person reviewed the referral and left it out: {why}."


#: By the reason code of an adjustment.
_LEFT_OUT: Final[Mapping[str, str]] = {
    "misconduct": "the rules of the program were not kept",
    "error_corrected": "it had been promised by mistake",
    "other": "please ask the company for the reason",
}

_APPEAL: Final = (
    "If you think this is wrong, you can appeal: say why, and name the order or date that was missed. A person will"
    " look at it again."
)


def _day(moment: datetime | None, situation: Situation) -> str:
    """Return a moment in the program's time zone, in which its periods end."""
    if moment is None:
        return "its end"
    local = moment.astimezone(situation.terms.zone)
    return f"{local.day} {local:%B %Y, %H:%M} ({situation.terms.timezone})"


def _invitation_not_claimed(s: Situation) -> str:
    return f"The invitation was not accepted before {_day(s.claim_by, s)}."


def _grace_ended(s: Situation) -> str:
    return f"There was a purchase, but the invitation was not accepted before {_day(s.claim_by, s)}."


def _no_conversion(s: Situation) -> str:
    kinds = listed(labels("conversion", s.terms.qualifying.kinds), "or")
    minimum = s.terms.qualifying.minimum
    least = f" of at least {money.display(s.terms.minor(minimum), s.terms.currency)}" if minimum is not None else ""
    return f"There was no qualifying {kinds}{least} before the offer ended on {_day(s.offer_ends, s)}."


def _cap_reached(s: Situation) -> str:
    limit = s.terms.limits.per_referrer
    if limit is None:
        return "The referrer has already received the most that the program pays to one referrer."
    most = [f"{limit.rewards} rewards"] if limit.rewards is not None else []
    if limit.amount is not None:
        most.append(money.display(s.terms.minor(limit.amount), s.terms.currency))
    return (
        f"The program pays one referrer at most {' and '.join(most)} within {limit.period.in_words}, "
        "and this limit is already reached."
    )


def _not_active(s: Situation) -> str:
    began = f"when the referral began on {_day(s.began_at, s)}"
    if s.program_ended_at is not None and s.program_ended_at <= s.began_at:
        return f"The program {s.terms.name} ended on {_day(s.program_ended_at, s)}. It was over {began}."
    return f"The program {s.terms.name} was not running {began}."


def _existing_customer(s: Situation) -> str:
    return (
        "The program rewards new customers only. The customer had bought something before the referral began on "
        f"{_day(s.began_at, s)}, or the shop told us that the customer was not new."
    )


def _by_decision(s: Situation) -> str:
    when = f" on {_day(s.decided_at, s)}" if s.decided_at else ""
    return f"A person reviewed the reward{when} and denied it: {_DECIDED.get(s.decided_for or '', _DECIDED['other'])}."


def _paid(s: Situation) -> str:
    return f"The reward was paid on {_day(s.paid_at, s)}." if s.paid_at else "The reward was paid."


def _taken_back(s: Situation) -> str:
    paid = f"The reward was paid on {_day(s.paid_at, s)}" if s.paid_at else "The reward was paid"
    back = f" and taken back on {_day(s.taken_back_at, s)}" if s.taken_back_at else " and taken back"
    return f"{paid}{back}, because {_TAKEN_BACK.get(s.taken_back_for or '', _TAKEN_BACK['other'])}."


#: By the reason code of a denial. A suspicion is described as what could not be verified; an appeal covers the rest.
_DECIDED: Final[Mapping[str, str]] = {
    "terms_not_met": "the terms of the program are not met",
    "fraud": "we could not verify that the referral is genuine",
    "self_referral": "referrer and referred customer appear to be the same person",
    "duplicate": "this order or customer was already rewarded or claimed",
    "attribution_lost": "another referral led to this purchase",
    "existing_customer": "the customer was not new",
    "evidence_insufficient": "there was not enough evidence",
    "other": "please ask the company for the reason",
}

#: By the reason code of a recovery.
_TAKEN_BACK: Final[Mapping[str, str]] = {
    "refund": "the purchase was refunded",
    "chargeback": "the payment for the purchase was charged back",
    "fraud": "we could not verify that the referral is genuine",
    "paid_in_error": "it was paid in error",
    "other": "the purchase does not qualify any more",
}

_REASONS: Final[Mapping[Reason, Callable[[Situation], str]]] = {
    _R.GRACE_PERIOD_ENDED: _grace_ended,
    _R.INVITATION_NOT_CLAIMED: _invitation_not_claimed,
    _R.NO_CONVERSION: _no_conversion,
    _R.CONVERSION_REVERSED: lambda s: (
        "The purchase was returned, refunded or cancelled, and what is left of it does not qualify."
    ),
    _R.PROGRAM_NOT_ACTIVE: _not_active,
    _R.REFERRER_SUSPENDED: lambda s: "The referrer was suspended from the program when the reward was reviewed.",
    _R.REFERRER_NOT_ENROLLED: lambda s: (
        f"The referrer had not joined {s.terms.name} yet when the purchase was made on {_day(s.converted_at, s)}."
    ),
    _R.EXISTING_CUSTOMER: _existing_customer,
    _R.DUPLICATE_CLAIM: lambda s: (
        "The same referrer referred this customer in two ways. The referral that was accepted first was rewarded, and a"
        " customer counts once."
    ),
    _R.CAP_REACHED: _cap_reached,
    _R.CONSENT_WITHDRAWN: lambda s: "The referred customer did not give their consent, or withdrew it.",
    _R.ATTRIBUTION_LOST: lambda s: (
        "Two referrals claimed the same customer or order. We compared both and attributed it to the other one."
    ),
    _R.DENIED_BY_DECISION: _by_decision,
}

_STATUSES: Final[Mapping[ReferralStatus, tuple[Callable[[Situation], str], Callable[[Situation], str] | None]]] = {
    _S.INVITED: (
        lambda s: "The invitation was sent and has not been accepted yet.",
        lambda s: (
            f"It can be accepted until {_day(s.deadline, s)}." if s.deadline else "It can be accepted at any time."
        ),
    ),
    _S.PURCHASED_UNCLAIMED: (
        lambda s: "There is a purchase, but the invitation has not been accepted yet.",
        lambda s: f"The purchase counts if the invitation is accepted before {_day(s.deadline, s)}.",
    ),
    _S.CLAIMED: (
        lambda s: "The invitation was accepted. There is no qualifying purchase yet.",
        lambda s: f"A purchase before {_day(s.deadline, s)} qualifies.",
    ),
    _S.IN_RETURN_PERIOD: (
        lambda s: f"The purchase of {_day(s.converted_at, s)} qualifies, unless it is returned.",
        lambda s: f"The return period ends on {_day(s.deadline, s)}. Then the reward is reviewed.",
    ),
    _S.IN_REVIEW: (lambda s: "The reward is being reviewed.", lambda s: "Next, a person decides on it."),
    _S.AWAITING_APPROVAL: (
        lambda s: "The reward is waiting for approval.",
        lambda s: "A person reviews it next. Nothing is paid before.",
    ),
    _S.ON_HOLD: (
        lambda s: "The reward is on hold while we look into something.",
        lambda s: "It continues as soon as the hold is released.",
    ),
    _S.APPROVED: (lambda s: "The reward was approved.", lambda s: "It will be paid soon."),
    _S.PAYING: (
        lambda s: "The reward was approved and is being paid.",
        lambda s: "You will receive it once the payment has gone through.",
    ),
    _S.REWARDED: (_paid, None),
    _S.CLAWED_BACK: (_taken_back, None),
    _S.EXPIRED: (lambda s: "The referral expired.", None),
    _S.DENIED: (lambda s: "The reward was denied.", None),
    _S.WITHDRAWN: (lambda s: "The referral was withdrawn.", None),
}
