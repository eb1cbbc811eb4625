"""Where facts are filed, and which of several beginnings of a referral takes precedence."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from referral_rewards.domain.facts.keys import CLAIMED, NAMED_ONLY, SENT, Beginning, first_beginnings

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def begins(
    referral: str = "r1", rank: int = SENT, hours: int = 0, source: str = "shop", event: str = "e1"
) -> Beginning:
    return Beginning(referral, rank, NOON + timedelta(hours=hours), source, event, None, None, None, None)


@pytest.mark.parametrize(
    ("first", "others"),
    [
        (begins(rank=SENT, hours=9), [begins(rank=CLAIMED, hours=1), begins(rank=NAMED_ONLY)]),
        (begins(hours=1), [begins(hours=2), begins(hours=2, source="crm")]),
        (begins(source="crm", event="e9"), [begins(source="shop", event="e1")]),
        (begins(event="e1"), [begins(event="e2"), begins(event="e3")]),
    ],
    ids=["by rank", "by time", "by source", "by id"],
)
def test_a_referral_begins_with_the_least_beginning_in_whatever_order(
    first: Beginning, others: list[Beginning]
) -> None:
    for order in permutations([first, *others]):
        assert first_beginnings(order) == [first]


def test_referrals_begin_sorted_and_facts_without_a_beginning_are_passed_over() -> None:
    one, other = begins(referral="r1"), begins(referral="r2")
    assert first_beginnings([other, None, one]) == [one, other]
    assert first_beginnings([None]) == []
