"""What letters say of a reward."""

import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.reporting.referrals.letters import rewards_of


@pytest.mark.parametrize("kind", RewardKind)
def test_a_letter_has_words_for_every_kind_of_reward(kind: RewardKind) -> None:
    leg = {"role": "referrer", "state": "settled", "amount_minor": 2500, "currency": "USD", "kind": kind.value}
    (told,) = rewards_of({"legs": [leg]}, Side.REFERRER)
    assert told.startswith("25.00 USD")
