"""A referral as one of its sides sees it: its status, own reward and own letters, nothing about the other side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.labels.vocabularies import VOCABULARIES, label
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import Handed, LegState, PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.referrals.everything import (
    APPROVED,
    Appeal,
    LegShown,
    ReferralShown,
    given_back_minor,
    left_out_because,
    taken_back_minor,
)
from referral_rewards.reporting.referrals.periods import Told


@dataclass(frozen=True, slots=True)
class OwnReward:
    """A reward of one side: the amount and its state, in words."""

    amount: str
    kind: RewardKind
    state: str


@dataclass(frozen=True, slots=True)
class OwnLetter:
    """A letter to that side, and whether it was sent; ``text`` is None once erased."""

    at: datetime
    subject: str | None
    what: str
    state: str
    text: str | None


@dataclass(frozen=True, slots=True)
class OwnStatus:
    """The content of a status page. ``heading`` says in words where it stands for that side. ``handed`` is what the
    rail gave for that side, and is secret to it."""

    status: ReferralStatus | None
    heading: str
    why: str
    next: str | None
    appeal: str | None
    appeals: tuple[Appeal, ...]
    deadline: datetime | None
    rewards: tuple[OwnReward, ...]
    handed: Sequence[Handed]
    letters: tuple[OwnLetter, ...]


def own_status(shown: ReferralShown, side: Side, handed: Sequence[Handed] = ()) -> OwnStatus:
    """Return what one side may see of the referral."""
    told = shown.told
    return OwnStatus(
        status=shown.status,
        heading=_heading(shown, side),
        why=_why(shown, told, side) if told else "We are checking the invitation.",
        next=told.next if told else None,
        appeal=told.appeal if told else None,
        appeals=tuple(each for each in shown.appeals if each.by == side.value),
        deadline=shown.deadline,
        rewards=tuple(
            OwnReward(display(leg.amount_minor, leg.currency), leg.kind, state_in_words(shown, leg))
            for leg in _rewards(shown, side)
        ),
        handed=handed,
        letters=tuple(
            OwnLetter(
                at=each.settled_at or each.planned_at,
                subject=each.subject,
                what=each.what,
                state=label("letter_state_for_them", each.state),
                text=each.text,
            )
            for each in shown.communication
            if each.to == side.value and each.state in VOCABULARIES["letter_state_for_them"]
        ),
    )


def _rewards(shown: ReferralShown, side: Side) -> list[LegShown]:
    return [leg for leg in shown.legs if leg.role is side and leg.state != LegState.CANCELLED]


def state_in_words(shown: ReferralShown, leg: LegShown) -> str:
    """Where a reward is, for whoever gets it. Of one that was taken back in part, or in vain, what they keep."""
    if leg.state != LegState.RESERVED:
        taken_minor, back_minor = taken_back_minor(shown, leg), given_back_minor(shown, leg)
        left_minor = leg.amount_minor - taken_minor + back_minor
        if taken_minor and left_minor > 0:
            taken, back, left = (display(each, leg.currency) for each in (taken_minor, back_minor, left_minor))
            again = f" and {back} paid again" if back_minor else ""
            return f"paid; {taken} taken back{again}, {left} remain yours"
        return label("payment_for_them", leg.state)
    its = [each for each in shown.payouts if each.role is leg.role and each.state is not PayoutState.CANCELLED]
    if its and its[0].state is PayoutState.ACCEPTED and its[0].rail in BY_HAND:
        return "payment is being processed by our bank"
    return label("payment_for_them", its[0].state if its else leg.state)


def _heading(shown: ReferralShown, side: Side) -> str:
    """Where it stands for one side: what was paid to the other alone is nothing to them."""
    if shown.status is None:
        return "received"
    return "complete" if _has_none(shown, side) else label("status_for_them", shown.status)


def _has_none(shown: ReferralShown, side: Side) -> bool:
    """Whether what was approved has no reward for this side: the program pays the other alone, or theirs was left out
    or cancelled."""
    return shown.status in APPROVED and not _rewards(shown, side)


def _why(shown: ReferralShown, told: Told, side: Side) -> str:
    """Why it stands there; of a reward that is paid as a whole, also what was taken back of this side's.

    Whoever's reward was left out reads of that instead, and whoever has none of that.
    """
    if (left_out := left_out_because(shown, side)) is not None:
        return left_out
    if _has_none(shown, side):
        return "The referral is complete. There is no reward for you in it."
    paid = _rewards(shown, side)
    taken_minor = sum(taken_back_minor(shown, leg) for leg in paid)
    if not taken_minor or shown.status is not ReferralStatus.REWARDED:
        return told.why
    back_minor = sum(given_back_minor(shown, leg) for leg in paid)
    again = f", and {display(back_minor, paid[0].currency)} paid again" if back_minor else ""
    return f"{told.why} {display(taken_minor, paid[0].currency)} of it was taken back{again}."
