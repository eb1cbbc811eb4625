"""Build letters about a referral: the common explanation, and what concerns the recipient alone."""

from collections.abc import Iterable, Sequence
from typing import Final

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import Handed
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.notices.composing import Letter
from referral_rewards.register.notices.rows import Audience, Notice
from referral_rewards.reporting.referrals.everything import (
    LegShown,
    ReferralShown,
    given_back_minor,
    left_out_because,
    taken_back_minor,
)

#: In what a reward is, after its amount.
_KINDS: Final = {
    "cash": "",
    "credit": " in account credit",
    "discount": " as a discount",
    "gift_card": " as a gift card",
}


def letter(notice: Notice, shown: ReferralShown, terms: Terms, link: str, handed: Sequence[Handed] = ()) -> Letter:
    """Return the letter of a message; ``shown`` is everything about its referral (`showing`).

    ``link`` and ``handed`` belong to the recipient alone.
    """
    told = shown.told
    assert told is not None  # none is planned before it was judged
    if notice.audience == Audience.APPROVERS:
        rewards = [display(leg.amount_minor, leg.currency) for leg in (shown.claim.legs if shown.claim else ())]
        taken: list[str] = []
    else:
        rewards = rewards_of(shown.legs, Side(notice.audience))
        taken = taken_of(shown, Side(notice.audience))
    return Letter(
        template=notice.template,
        program=terms.name,
        referral=notice.referral_id,
        began=_began(shown, terms),
        why=told.why,
        next=told.next,
        appeal=told.appeal,
        rewards=rewards,
        taken=taken,
        link=link,
        handed=handed,
        left_out=left_out_because(shown, Side(notice.audience)) if notice.audience in set(Side) else None,
    )


def _began(shown: ReferralShown, terms: Terms) -> str:
    """The day on which it began, by the program's clock: ``10 July 2026``."""
    assert shown.periods is not None  # nothing is told of what never began
    began_at = shown.periods.began_at.astimezone(terms.zone)
    return f"{began_at.day} {began_at:%B %Y}"


def taken_of(shown: ReferralShown, side: Side) -> list[str]:
    """Return what was taken back of each reward of one side so far, and what of it went back, in sentences."""
    its = [leg for leg in shown.legs if leg.role is side and taken_back_minor(shown, leg)]
    return [_taken_of(leg, taken_back_minor(shown, leg), given_back_minor(shown, leg)) for leg in its]


def _taken_of(leg: LegShown, taken_minor: int, back_minor: int) -> str:
    left_minor = leg.amount_minor - taken_minor + back_minor
    whole, taken, back, left = (
        display(each, leg.currency) for each in (leg.amount_minor, taken_minor, back_minor, left_minor)
    )
    if not left_minor:
        return f"Your reward of {whole} was taken back."
    if not back_minor:
        return f"Of your reward of {whole}, {taken} was taken back; {left} remain yours."
    return f"Of your reward of {whole}, {taken} was taken back, and {back} was paid to you again; {left} remain yours."


def rewards_of(legs: Iterable[LegShown], side: Side) -> list[str]:
    """Return the rewards granted to one side, in words."""
    return [
        f"{display(leg.amount_minor, leg.currency)}{_KINDS[leg.kind]}"
        for leg in legs
        if leg.role is side and leg.state != "cancelled"
    ]
