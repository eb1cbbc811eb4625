"""What a referrer or referee is told of their own reward, and nothing about the other side's."""

from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.states import ClawbackKind
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.clawbacks import ClawbackMade
from referral_rewards.reporting.referrals.everything import CaseOfReferral, LegShown, PayoutOfReferral, ReferralShown
from referral_rewards.reporting.referrals.own_status import own_status
from referral_rewards.reporting.referrals.periods import Told

#: The reward of each side.
LEGS: Final = {Side.REFERRER: UUID(int=1), Side.REFEREE: UUID(int=2)}


def legs(state: LegState = LegState.PAID) -> tuple[LegShown, ...]:
    """A reward of 25 USD for the referrer and one of 8 USD for the referee."""
    return tuple(
        LegShown.model_construct(
            leg=LEGS[role], role=role, state=state, kind=RewardKind.CASH, amount_minor=amount_minor, currency="USD"
        )
        for role, amount_minor in ((Side.REFERRER, 2500), (Side.REFEREE, 800))
    )


def shown(**changed: Any) -> ReferralShown:
    """A referral that is rewarded on both sides, as it is shown to those who work here."""
    whole: dict[str, Any] = {
        "status": ReferralStatus.REWARDED,
        "told": Told(why="The reward was paid.", next=None, appeal=None),
        "legs": legs(),
        "deadline": None,
        "claim": None,
        **dict.fromkeys(("appeals", "payouts", "clawbacks", "communication"), ()),
    }
    return ReferralShown.model_construct(**{**whole, **changed})


def case(role: str, *recoveries: tuple[str, int]) -> CaseOfReferral:
    taken = (ClawbackMade.model_construct(kind=ClawbackKind(kind), recovered_minor=minor) for kind, minor in recoveries)
    return CaseOfReferral.model_construct(leg=LEGS[Side(role)], role=Side(role), clawbacks=tuple(taken))


@pytest.mark.parametrize(
    ("clawbacks", "state", "why"),
    [
        ([], "paid", "The reward was paid."),
        (
            [case("referrer", ("reverse", 1000))],
            "paid; 10.00 USD taken back, 15.00 USD remain yours",
            "The reward was paid. 10.00 USD of it was taken back.",
        ),
        (
            [case("referrer", ("reverse", 400), ("offset", 600)), case("referee", ("reverse", 800))],
            "paid; 10.00 USD taken back, 15.00 USD remain yours",
            "The reward was paid. 10.00 USD of it was taken back.",
        ),
        ([case("referee", ("reverse", 800))], "paid", "The reward was paid."),
        ([case("referrer", ("write_off", 0))], "paid", "The reward was paid."),
    ],
)
def test_of_what_was_taken_back_in_part_it_is_said_what_remains(
    clawbacks: list[CaseOfReferral], state: str, why: str
) -> None:
    own = own_status(shown(clawbacks=tuple(clawbacks)), Side.REFERRER)
    assert [each.state for each in own.rewards] == [state]
    assert own.why == why


@pytest.mark.parametrize("state", PayoutState)
@pytest.mark.parametrize("rail", ["manual", "stripe_transfer"])
def test_where_a_payment_is_on_its_way_no_code_is_told(state: PayoutState, rail: str) -> None:
    its = PayoutOfReferral.model_construct(role=Side.REFERRER, state=state, rail=rail)
    (own,) = own_status(shown(legs=legs(LegState.RESERVED), payouts=(its,)), Side.REFERRER).rewards
    assert "_" not in own.state
    assert ("our bank" in own.state) == ((state, rail) == (PayoutState.ACCEPTED, "manual"))
    assert "review" not in own.state


_OF_APPROVED: Final = (ReferralStatus.APPROVED, ReferralStatus.PAYING, ReferralStatus.REWARDED)


@pytest.mark.parametrize("status", _OF_APPROVED)
def test_whoever_has_no_reward_is_not_told_of_the_other_sides(status: ReferralStatus) -> None:
    """The program pays the referrer alone."""
    referral = shown(status=status, legs=legs()[:1])
    friend, referrer = own_status(referral, Side.REFEREE), own_status(referral, Side.REFERRER)
    assert (friend.heading, friend.why) == ("complete", "The referral is complete. There is no reward for you in it.")
    assert (friend.rewards, referrer.why) == ((), "The reward was paid.")


def test_before_the_approval_both_sides_read_where_it_stands() -> None:
    referral = shown(status=ReferralStatus.AWAITING_APPROVAL, legs=(), told=Told(why="Waits.", next=None, appeal=None))
    assert {own_status(referral, side).why for side in Side} == {"Waits."}
