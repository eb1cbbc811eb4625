"""What letters say of a reward."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.reporting.referrals.everything import LegShown
from referral_rewards.reporting.referrals.letters import rewards_of


@pytest.mark.parametrize("kind", RewardKind)
def test_a_letter_has_words_for_every_kind_of_reward(kind: RewardKind) -> None:
    leg = LegShown(
        leg=UUID(int=1),
        role=Side.REFERRER,
        beneficiary="dexter",
        kind=kind,
        amount_minor=2500,
        currency="USD",
        rail="manual",
        state="paid",
        approved_at=datetime(2026, 7, 1, tzinfo=UTC),
    )
    (told,) = rewards_of([leg], Side.REFERRER)
    assert told.startswith("25.00 USD")
