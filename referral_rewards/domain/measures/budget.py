"""The budget of a program: what of it is used, what waits for it, and what is left if all of that is paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from referral_rewards.domain.measures.figures import Figure
from referral_rewards.domain.measures.measures import Sums
from referral_rewards.domain.money import display

#: The figures that a budget is reckoned from.
FIGURES: Final = (
    *(Figure.BUDGETED, Figure.SETTLED, Figure.TAKEN_BACK, Figure.PAYABLE),
    *(Figure.REWARDS_WAITING, Figure.REWARDS_EXPECTED),
)


class Spending(NamedTuple):
    """What a program's rewards come to in one currency, in minor units.

    ``used_minor`` counts against the budget: rewards that were approved and neither cancelled nor taken back in full.
    ``spent_minor`` was settled and not taken back, ``approved_minor`` was approved and is not paid yet.
    ``waiting_minor`` are the claims before approvers, ``expected_minor`` what would become due at the end of the
    return periods that run.
    """

    currency: str
    used_minor: int
    spent_minor: int
    approved_minor: int
    waiting_minor: int
    expected_minor: int


@dataclass(frozen=True, slots=True)
class Budget:
    """A program's budget in minor units of its ``currency``, None if the terms set none; and what its rewards come to
    in each currency, that of the program first and never missing."""

    currency: str
    budget_minor: int | None
    spending: Sequence[Spending]

    @property
    def own(self) -> Spending:
        """What is in the program's currency: only that counts against the budget."""
        return self.spending[0]

    @property
    def left_minor(self) -> int | None:
        """What is left of the budget; below zero if it was lowered since. None without a budget."""
        return None if self.budget_minor is None else self.budget_minor - self.own.used_minor

    @property
    def left_after_waiting_minor(self) -> int | None:
        """What is left if every claim that waits for approvers is paid."""
        return None if self.left_minor is None else self.left_minor - self.own.waiting_minor

    @property
    def left_after_all_minor(self) -> int | None:
        """What is left if, besides, everything in a return period becomes due and is paid."""
        return (
            None if self.left_after_waiting_minor is None else self.left_after_waiting_minor - self.own.expected_minor
        )

    @property
    def warning(self) -> str | None:
        """Return in a sentence that the budget will not do; None if it will, or if there is none."""
        lacks = (
            (self.left_minor, "More is approved than the budget allows: it lacks {}."),
            (
                self.left_after_waiting_minor,
                "The budget does not do for the claims that wait for approvers: it lacks {}. Claims that no longer fit"
                " are cut and ask for approval again.",
            ),
            (
                self.left_after_all_minor,
                "The budget does not do for everything that is in its return period: it would lack {}.",
            ),
        )
        found = ((minor, said) for minor, said in lacks if minor is not None and minor < 0)
        return next((said.format(display(-minor, self.currency)) for minor, said in found), None)


def budget_of(sums: Sums, currency: str, budget_minor: int | None) -> Budget:
    """Return the budget of a program from its sums of all time."""
    amounts = {figure: _amounts(sums, figure) for figure in FIGURES}
    others = sorted({name for each in amounts.values() for name in each} - {currency})
    spending = (
        _spending({figure: each.get(name, 0) for figure, each in amounts.items()}, name) for name in (currency, *others)
    )
    return Budget(currency, budget_minor, tuple(spending))


def _amounts(sums: Sums, figure: Figure) -> dict[str, int]:
    found: dict[str, int] = {}
    for (currency, _), each in sums.by_currency(figure).items():
        found[currency] = found.get(currency, 0) + each.amount
    return found


def _spending(amounts: dict[Figure, int], currency: str) -> Spending:
    return Spending(
        currency,
        used_minor=amounts[Figure.BUDGETED],
        spent_minor=amounts[Figure.SETTLED] - amounts[Figure.TAKEN_BACK],
        approved_minor=amounts[Figure.PAYABLE],
        waiting_minor=amounts[Figure.REWARDS_WAITING],
        expected_minor=amounts[Figure.REWARDS_EXPECTED],
    )
