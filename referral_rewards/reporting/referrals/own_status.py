"""A referral as one of its sides sees it: its status, own reward and own letters, nothing about the other side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.money import display
from referral_rewards.domain.notices.states import NoticeState
from referral_rewards.domain.payouts.states import Handed, PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.referrals.everything import Appeal, LegShown, ReferralShown

#: The state of a leg, or of its payout if it has one, in words for the payee.
_PAYMENT: Final[Mapping[str, str]] = {
    "reserved": "approved, and not paid yet",
    "tax_hold": "approved; it is paid once a tax form is on file",
    "planned": "approved, and paid with the next payout cycle",
    "approved": "approved, and about to be paid",
    "sending": "being paid",
    "unknown": "being paid",
    "paid": "paid",
    "settled": "paid",
    "clawed_back": "taken back",
}
#: The words for states whose details concern only the company.
_LOOKED_INTO: Final = "approved; its payment is being looked into"
_LETTERS: Final = {
    NoticeState.SENT: "sent to you",
    NoticeState.WAITING: "on its way",
    NoticeState.HELD: "is sent to you at a better hour",
}


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
    """The content of a status page. ``handed`` is what the rail gave for that side, and is secret to it."""

    status: ReferralStatus | None
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
        why=told.why if told else "The invitation is being looked at.",
        next=told.next if told else None,
        appeal=told.appeal if told else None,
        appeals=tuple(each for each in shown.appeals if each.by == side.value),
        deadline=shown.deadline,
        rewards=tuple(
            OwnReward(display(leg.amount_minor, leg.currency), leg.kind, _state(shown, leg))
            for leg in shown.legs
            if leg.role is side and leg.state != "cancelled"
        ),
        handed=handed,
        letters=tuple(
            OwnLetter(each.settled_at or each.planned_at, each.subject, each.what, _LETTERS[each.state], each.text)
            for each in shown.communication
            if each.to == side.value and each.state in _LETTERS
        ),
    )


def _state(shown: ReferralShown, leg: LegShown) -> str:
    if leg.state != "reserved":
        return _PAYMENT.get(leg.state, _LOOKED_INTO)
    its = [each.state for each in shown.payouts if each.role is leg.role]
    payouts = [state for state in its if state is not PayoutState.CANCELLED]
    return _PAYMENT.get(payouts[0] if payouts else "reserved", _LOOKED_INTO)
