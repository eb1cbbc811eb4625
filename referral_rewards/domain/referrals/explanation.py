"""Explains a reward's status to its referrer or referee: what was decided, why, and what comes next.

An explanation tells one of them no more about the other than the verdict needs, and never tells a fraudster which
signal fired.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus

_S = ReferralStatus
_R = Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What an explanation depends on. ``decided_for`` is the reason code of the decision that closed it, if any."""

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


_APPEAL: Final = (
    "If this looks wrong, appeal: say why and name the order or the date that was missed. A person looks at it again."
)


def _day(moment: datetime | None, situation: Situation) -> str:
    """Return a moment in the program's time zone, in which its periods end."""
    if moment is None:
        return "its end"
    local = moment.astimezone(situation.terms.zone)
    return f"{local.day} {local:%B %Y, %H:%M} ({situation.terms.timezone})"


def _invitation_not_claimed(s: Situation) -> str:
    return f"The invitation had to be accepted before {_day(s.claim_by, s)}, and was not."


def _grace_ended(s: Situation) -> str:
    return f"There was a purchase, but the invitation was not accepted before {_day(s.claim_by, s)}."


def _no_conversion(s: Situation) -> str:
    kinds = " or ".join(kind.replace("_", " ") for kind in s.terms.qualifying.kinds)
    minimum = s.terms.qualifying.minimum
    least = f" of at least {money.display(s.terms.minor(minimum), s.terms.currency)}" if minimum is not None else ""
    return f"There was no {kinds}{least} that counts before the offer ended on {_day(s.offer_ends, s)}."


def _cap_reached(s: Situation) -> str:
    limit = s.terms.limits.per_referrer
    if limit is None:
        return "The referrer has received all that the program gives one referrer."
    most = [f"{limit.rewards} rewards"] if limit.rewards is not None else []
    if limit.amount is not None:
        most.append(money.display(s.terms.minor(limit.amount), s.terms.currency))
    return (
        f"The program gives one referrer at most {' and '.join(most)} within {_spoken(str(limit.period))}, "
        "and that much was already granted."
    )


def _existing_customer(s: Situation) -> str:
    return (
        f"The program rewards new customers only, and there was a purchase before the referral began on "
        f"{_day(s.began_at, s)}, or the shop says that the customer was not new."
    )


def _by_decision(s: Situation) -> str:
    when = f" on {_day(s.decided_at, s)}" if s.decided_at else ""
    return f"A person looked at it{when} and denied it: {_DECIDED.get(s.decided_for or '', _DECIDED['other'])}."


def _spoken(period: str) -> str:
    """Return a simple ISO 8601 period in words; any other unchanged."""
    unit = _UNITS.get(period[-1:])
    number = period[1:-1]
    if unit is None or not number.isdecimal():
        return period
    return f"one {unit}" if number == "1" else f"{number} {unit}s"


_UNITS: Final = {"Y": "year", "M": "month", "W": "week", "D": "day"}

#: By the reason code of a denial. A suspicion is described as what could not be verified; an appeal covers the rest.
_DECIDED: Final[Mapping[str, str]] = {
    "terms_not_met": "the terms of the program are not met",
    "fraud": "it could not be verified as a genuine referral",
    "self_referral": "referrer and referee appear to be one person, and the program rewards referring somebody else",
    "duplicate": "this order or this customer has already been rewarded, or is claimed twice",
    "attribution_lost": "another referral led to this purchase",
    "existing_customer": "the customer was not new",
    "evidence_insufficient": "there was not enough evidence for it",
    "other": "the company tells why when it is asked",
}

_REASONS: Final[Mapping[Reason, Callable[[Situation], str]]] = {
    _R.GRACE_PERIOD_ENDED: _grace_ended,
    _R.INVITATION_NOT_CLAIMED: _invitation_not_claimed,
    _R.NO_CONVERSION: _no_conversion,
    _R.CONVERSION_REVERSED: lambda s: (
        "The purchase was returned, refunded or cancelled, so far that what is left of it does not count."
    ),
    _R.PROGRAM_NOT_ACTIVE: lambda s: f"The program {s.terms.name} was not running when the referral began.",
    _R.REFERRER_SUSPENDED: lambda s: "The referrer's part in the program was suspended when the reward was judged.",
    _R.REFERRER_NOT_ENROLLED: lambda s: (
        f"The referrer had not joined {s.terms.name} when the purchase was made on {_day(s.converted_at, s)}."
    ),
    _R.EXISTING_CUSTOMER: _existing_customer,
    _R.CAP_REACHED: _cap_reached,
    _R.CONSENT_WITHDRAWN: lambda s: "The person referred did not agree to it, or withdrew what they had agreed to.",
    _R.ATTRIBUTION_LOST: lambda s: (
        "Two referrals claimed the same customer or order. People compared both, and another referral led to it."
    ),
    _R.DENIED_BY_DECISION: _by_decision,
}

_STATUSES: Final[Mapping[ReferralStatus, tuple[Callable[[Situation], str], Callable[[Situation], str] | None]]] = {
    _S.INVITED: (
        lambda s: "The invitation was sent and has not been accepted yet.",
        lambda s: f"It can be accepted until {_day(s.deadline, s)}." if s.deadline else "It can be accepted any time.",
    ),
    _S.PURCHASED_UNCLAIMED: (
        lambda s: "There is a purchase, and the invitation has not been accepted yet.",
        lambda s: f"The purchase counts if the invitation is accepted before {_day(s.deadline, s)}.",
    ),
    _S.CLAIMED: (
        lambda s: "The invitation was accepted. There is no purchase yet that counts.",
        lambda s: f"A purchase before {_day(s.deadline, s)} counts.",
    ),
    _S.IN_RETURN_PERIOD: (
        lambda s: f"The purchase of {_day(s.converted_at, s)} counts, unless it is returned.",
        lambda s: f"Once it can't be returned any more, on {_day(s.deadline, s)}, the reward is reviewed.",
    ),
    _S.IN_REVIEW: (lambda s: "The reward is being reviewed.", lambda s: "A person decides on it next."),
    _S.AWAITING_APPROVAL: (
        lambda s: "The reward was prepared and waits for a person's approval.",
        lambda s: "Nothing is paid without it, and nothing is lost while it waits.",
    ),
    _S.ON_HOLD: (
        lambda s: "A person holds the reward back while something about it is looked into.",
        lambda s: "It goes on as soon as it is released.",
    ),
    _S.APPROVED: (lambda s: "The reward was approved.", lambda s: "It is about to be paid."),
    _S.PAYING: (
        lambda s: "The reward was approved and is being paid.",
        lambda s: "It arrives once every part settles.",
    ),
    _S.REWARDED: (lambda s: "The reward was paid.", None),
    _S.CLAWED_BACK: (lambda s: "The reward was paid and taken back, because the purchase did not stand.", None),
    _S.EXPIRED: (lambda s: "The referral expired.", None),
    _S.DENIED: (lambda s: "The reward was denied.", None),
    _S.WITHDRAWN: (lambda s: "The referral was withdrawn by one of its parties.", None),
}
