"""Which payments of a referral share a payout, and so can't both be made: a table of what may happen in between."""

import pytest

from referral_rewards.domain.payouts.states import payout_id, provider_key


@pytest.mark.parametrize(
    ("between", "first", "second", "same_payout"),
    [
        ("the activity ran again", ("r1", "referrer", 1), ("r1", "referrer", 1), True),
        ("it was refused, and the next order took the place of the first", ("r1", "referrer", 1),
         ("r1", "referrer", 1), True),
        ("it was refused, and another order was linked", ("r1", "referrer", 1), ("r1", "referrer", 1), True),
        ("it was reassigned before it was paid", ("r1", "referrer", 1), ("r1", "referrer", 1), True),
        ("its other side", ("r1", "referrer", 1), ("r1", "referee", 1), False),
        ("it was taken back, and reopened for an exchange", ("r1", "referrer", 1), ("r1", "referrer", 2), False),
        ("reopened once more", ("r1", "referrer", 2), ("r1", "referrer", 3), False),
        ("another referral", ("r1", "referrer", 1), ("r2", "referrer", 1), False),
        ("another referral whose id ends alike", ("r1", "referrer", 12), ("r1\x00referrer", "1", 2), False),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_payments_that_must_not_both_be_made_share_a_payout(
    between: str, first: tuple[str, str, int], second: tuple[str, str, int], same_payout: bool
) -> None:
    assert (payout_id(*first) == payout_id(*second)) is same_payout


def test_a_key_belongs_to_one_generation_of_one_payout() -> None:
    payouts = [payout_id("r1", role, number) for role in ("referrer", "referee") for number in range(1, 20)]
    keys = [provider_key(each, generation) for each in payouts for generation in range(1, 20)]
    assert len(set(payouts)) == len(payouts)
    assert len(set(keys)) == len(keys)
