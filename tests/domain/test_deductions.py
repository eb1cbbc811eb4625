"""How much of a payee's legs is sent (SPEC §7): tax is withheld first, then offsets take what is owed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.payouts.deductions import (
    Deducted,
    OpenOffset,
    Withheld,
    deducted,
    still_open,
    takes_of_offset,
)


def _gross(amount_minor: int, percent: int = 0, regime: str = "us") -> Withheld:
    return Withheld(regime, amount_minor, Decimal(percent))


@pytest.mark.parametrize(
    ("gross", "offsets", "step_minor", "left_minor", "withheld", "taken"),
    [
        ([], [], 1, 0, (), ()),
        ([_gross(1000)], [], 1, 1000, (), ()),
        ([_gross(1000, 30)], [], 1, 700, (("us", 300),), ()),
        ([_gross(1000, 100)], [OpenOffset("a", 50)], 1, 0, (("us", 1000),), ()),
        ([_gross(1000)], [OpenOffset("a", 400)], 1, 600, (), (("a", 400),)),
        ([_gross(1000)], [OpenOffset("a", 1000)], 1, 0, (), (("a", 1000),)),
        ([_gross(1000)], [OpenOffset("a", 1001)], 1, 0, (), (("a", 1000),)),
        ([_gross(1000)], [OpenOffset("a", 400), OpenOffset("b", 900)], 1, 0, (), (("a", 400), ("b", 600))),
        ([_gross(1000)], [OpenOffset("a", 1000), OpenOffset("b", 1)], 1, 0, (), (("a", 1000),)),
        ([_gross(1000, 30)], [OpenOffset("a", 400)], 1, 300, (("us", 300),), (("a", 400),)),
        # What is left must be an amount that the rail can send.
        ([_gross(1000)], [OpenOffset("a", 450)], 100, 600, (), (("a", 400),)),
        ([_gross(1000)], [OpenOffset("a", 50)], 100, 1000, (), ()),
        ([_gross(500, 10), _gross(300, 0, "none")], [OpenOffset("a", 700)], 1, 50, (("us", 50),), (("a", 700),)),
    ],
)
def test_what_is_sent_is_the_total_less_the_tax_less_what_is_owed(
    gross: list[Withheld],
    offsets: list[OpenOffset],
    step_minor: int,
    left_minor: int,
    withheld: tuple[tuple[str, int], ...],
    taken: tuple[tuple[str, int], ...],
) -> None:
    assert deducted(gross, offsets, step_minor) == Deducted(left_minor, withheld, taken)


_OFFSETS = st.lists(st.integers(1, 5000), max_size=4).map(
    lambda amounts: [OpenOffset(str(number), amount) for number, amount in enumerate(amounts)]
)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 100)), max_size=3), _OFFSETS)
def test_nothing_is_lost_between_what_is_sent_and_what_is_kept(
    parts: list[tuple[int, int]], offsets: list[OpenOffset]
) -> None:
    gross = [_gross(amount, percent) for amount, percent in parts]
    its = deducted(gross, offsets, 1)
    kept = sum(amount for _, amount in (*its.withheld, *its.offsets))
    assert its.left_minor + kept == sum(amount for amount, _ in parts)
    assert its.left_minor >= 0


@given(st.integers(0, 5000), st.integers(0, 5000), _OFFSETS)
def test_two_payouts_of_one_payee_take_no_more_than_is_open(first: int, second: int, offsets: list[OpenOffset]) -> None:
    one = deducted([_gross(first)], offsets, 1)
    left = still_open(offsets, one)
    two = deducted([_gross(second)], left, 1)
    taken = [dict(one.offsets), dict(two.offsets)]
    for each in offsets:
        assert sum(its.get(each.id, 0) for its in taken) <= each.open_minor
    assert all(each.open_minor > 0 for each in left)


@given(st.integers(1, 10_000), st.integers(1, 100), st.sampled_from([1, 10, 100]))
def test_what_an_offset_leaves_can_be_paid_and_no_more_is_kept_than_is_owed(owed: int, times: int, step: int) -> None:
    due = times * step
    kept = takes_of_offset(owed, due, step)
    assert 0 <= kept <= min(owed, due)
    assert (due - kept) % step == 0
    assert kept + step > min(owed, due)
