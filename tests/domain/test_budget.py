"""A program's budget: what is used, what waits, what is left, and when it will not do."""

from datetime import date

import pytest

from referral_rewards.domain.measures.budget import Budget, Spending, budget_of
from referral_rewards.domain.measures.figures import Contribution, Figure
from referral_rewards.domain.measures.measures import Days, Sums

DAY = date(2026, 7, 1)


def _sums(*amounts: tuple[Figure, str, str, int]) -> Sums:
    adds = [Contribution(figure, DAY, part, currency, 1, minor) for figure, part, currency, minor in amounts]
    return Sums.over(adds, Days())


def _budget(budget_minor: int | None, used: int, waiting: int = 0, expected: int = 0) -> Budget:
    return Budget("CAD", budget_minor, (Spending("CAD", used, used, 0, waiting, expected),))


def test_a_budget_is_reckoned_from_the_sums_of_all_time() -> None:
    sums = _sums(
        (Figure.BUDGETED, "cash", "CAD", 7_000),
        (Figure.BUDGETED, "credit", "CAD", 1_000),
        (Figure.SETTLED, "cash", "CAD", 6_000),
        (Figure.TAKEN_BACK, "cash", "CAD", 500),
        (Figure.PAYABLE, "credit", "CAD", 1_000),
        (Figure.REWARDS_WAITING, "", "CAD", 300),
        (Figure.REWARDS_EXPECTED, "", "CAD", 200),
        (Figure.SETTLED, "cash", "USD", 900),
        (Figure.CLAIMS_CREATED, "", "", 0),
    )

    found = budget_of(sums, "CAD", 9_000)

    assert found.spending == (
        Spending(
            "CAD", used_minor=8_000, spent_minor=5_500, approved_minor=1_000, waiting_minor=300, expected_minor=200
        ),
        Spending("USD", used_minor=0, spent_minor=900, approved_minor=0, waiting_minor=0, expected_minor=0),
    )
    assert (found.left_minor, found.left_after_waiting_minor, found.left_after_all_minor) == (1_000, 700, 500)
    assert found.warning is None


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (_budget(1_000, 1_000), None),
        (_budget(1_000, 900, 60, 40), None),
        (_budget(1_000, 900, 60, 41), "in its return period: it would lack 0.01 CAD"),
        (_budget(1_000, 900, 101, 500), "wait for approvers: it lacks 0.01 CAD"),
        (_budget(1_000, 1_001, 101, 500), "More is approved than the budget allows: it lacks 0.01 CAD"),
        (_budget(None, 10**9, 10**9), None),
    ],
)
def test_a_warning_names_the_first_thing_that_the_budget_will_not_do_for(budget: Budget, says: str | None) -> None:
    assert budget.warning is None if says is None else says in (budget.warning or "")


def test_without_a_budget_nothing_is_left_of_it() -> None:
    found = budget_of(_sums(), "CAD", None)

    assert found.spending == (Spending("CAD", 0, 0, 0, 0, 0),)
    assert (found.left_minor, found.left_after_waiting_minor, found.left_after_all_minor) == (None, None, None)
