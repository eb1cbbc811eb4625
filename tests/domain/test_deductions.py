"""What a payout is lowered by: tax from the total of its legs first, then offsets, oldest first."""

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.books.deductions import Gross, OpenOffset, Withheld, each_lowered, lowered, takes_of_offset
from referral_rewards.domain.books.ledger import Deduction, DeductionKind

OLD, NEW = UUID(int=1), UUID(int=2)
FIRST, SECOND, OTHER = UUID(int=11), UUID(int=12), UUID(int=13)


def offset(of: UUID, amount_minor: int) -> Deduction:
    return Deduction(DeductionKind.OFFSET, str(of), amount_minor)


@pytest.mark.parametrize(
    ("gross", "percent", "owes", "step", "left", "taken"),
    [
        (1000, 0, (), 1, 1000, ()),
        (1000, 0, (300,), 1, 700, (300,)),
        (1000, 0, (300, 200), 1, 500, (300, 200)),
        (1000, 0, (900, 200), 1, 0, (900, 100)),
        (1000, 0, (1000, 200), 1, 0, (1000,)),
        (1000, 0, (350,), 100, 700, (300,)),
        (1000, 0, (99,), 100, 1000, ()),
    ],
)
def test_offsets_take_from_what_is_left_oldest_first(
    gross: int, percent: int, owes: tuple[int, ...], step: int, left: int, taken: tuple[int, ...]
) -> None:
    offsets = [OpenOffset(name, minor) for name, minor in zip((OLD, NEW), owes, strict=False)]
    found = lowered([Withheld("none", gross, Decimal(percent))], offsets, step)
    wanted = tuple(offset(name, minor) for name, minor in zip((OLD, NEW), taken, strict=False))
    assert (found.left_minor, found.deductions) == (left, wanted)


def test_tax_is_withheld_from_each_regimes_total_before_an_offset_takes() -> None:
    owed = [Withheld("ca", 1000, Decimal(0)), Withheld("us", 2000, Decimal(24))]
    found = lowered(owed, [OpenOffset(OLD, 5000)], 1)
    assert found.left_minor == 0
    assert found.deductions == (Deduction(DeductionKind.WITHHOLDING, "us", 480), offset(OLD, 2520))


def test_what_one_payout_took_of_an_offset_is_not_open_for_the_payees_next() -> None:
    owed = (Withheld("none", 1000, Decimal(0)),)
    payouts = [
        Gross(FIRST, "dexter", "manual", "USD", owed),
        Gross(SECOND, "dexter", "account_credit", "USD", owed),
        Gross(OTHER, "brie", "manual", "USD", owed),
    ]
    found = each_lowered(payouts, {("dexter", "USD"): [OpenOffset(OLD, 1200)], ("dexter", "CAD"): [OpenOffset(NEW, 9)]})
    assert [found[each].left_minor for each in (FIRST, SECOND, OTHER)] == [0, 800, 1000]
    assert found[SECOND].deductions == (offset(OLD, 200),)


_OFFSETS = st.lists(st.integers(1, 5000), max_size=4).map(
    lambda amounts: [OpenOffset(UUID(int=number), amount) for number, amount in enumerate(amounts)]
)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 100)), max_size=3), _OFFSETS)
def test_nothing_is_lost_between_what_is_sent_and_what_is_kept(
    parts: list[tuple[int, int]], offsets: list[OpenOffset]
) -> None:
    its = lowered([Withheld("us", amount, Decimal(percent)) for amount, percent in parts], offsets, 1)
    assert its.left_minor + sum(each.amount_minor for each in its.deductions) == sum(amount for amount, _ in parts)
    assert its.left_minor >= 0


@given(st.integers(1, 10_000), st.integers(1, 100), st.sampled_from([1, 10, 100]))
def test_what_an_offset_leaves_can_be_paid_and_no_more_is_kept_than_is_owed(owed: int, times: int, step: int) -> None:
    due = times * step
    kept = takes_of_offset(owed, due, step)
    assert 0 <= kept <= min(owed, due)
    assert (due - kept) % step == 0
    assert kept + step > min(owed, due)
