"""The budget of a program for display: what of it is used, what waits for it, and what would be left."""

from collections.abc import Iterator
from datetime import datetime
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.budget import Budget
from referral_rewards.register import programs
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.measures import budgets
from referral_rewards.register.measures.past import Past
from referral_rewards.reporting.shape import Instant, Shape, csv_row


class SpendingShown(Shape):
    """What a program's rewards come to in one currency, in minor units. ``used_minor`` counts against the budget:
    rewards that were approved and neither cancelled nor taken back in full. ``spent_minor`` is settled less taken back,
    ``approved_minor`` approved and not paid yet, ``waiting_minor`` the claims before approvers, ``expected_minor`` the
    most that becomes due of what is in its return period."""

    currency: str
    used_minor: int
    spent_minor: int
    approved_minor: int
    waiting_minor: int
    expected_minor: int


class BudgetShown(Shape):
    """A program's budget in minor units of ``currency``; null, as is all that would be left, if its terms set none.

    Only what is in this currency counts against it. ``left_minor`` is the budget less what is used,
    ``left_after_waiting_minor`` what is left if every waiting claim is paid, ``left_after_all_minor`` if everything
    becomes due besides that is in its return period. ``warning`` says in a sentence that the budget will not do.
    """

    currency: str
    budget_minor: int | None
    left_minor: int | None
    left_after_waiting_minor: int | None
    left_after_all_minor: int | None
    warning: str | None
    spending: tuple[SpendingShown, ...]

    @classmethod
    def of(cls, its: Budget) -> Self:
        return cls(
            currency=its.currency,
            budget_minor=its.budget_minor,
            left_minor=its.left_minor,
            left_after_waiting_minor=its.left_after_waiting_minor,
            left_after_all_minor=its.left_after_all_minor,
            warning=its.warning,
            spending=tuple(SpendingShown.model_validate(each) for each in its.spending),
        )


class BudgetReport(Shape):
    """The budget of a program as of a moment. ``behind`` is as in the report of a program."""

    program: str
    as_of: Instant
    behind: int
    budget: BudgetShown


async def report(
    connection: AsyncConnection, program: str, as_of: datetime | None, now: datetime, keys: KeyRing
) -> BudgetReport:
    """Return the budget of a program as of a past moment, or of now. The connection's transaction must see one moment.

    Raises:
        NotFound: if there is no such program, or there was none by then.
    """
    found = await budgets.budget(connection, program, as_of, now, keys)
    if found is None:
        raise await programs.unknown(connection, program)
    its, behind = found
    return BudgetReport(program=program, as_of=as_of or now, behind=behind, budget=BudgetShown.of(its))


async def shown(
    connection: AsyncConnection,
    program: str,
    as_of: datetime | None,
    now: datetime,
    keys: KeyRing,
    looked: Past | None = None,
) -> BudgetShown | None:
    """Return the budget of a program beside other figures of it; None if no terms of it were published by then."""
    found = await budgets.budget(connection, program, as_of, now, keys, looked)
    return None if found is None else BudgetShown.of(found[0])


def as_csv(its: BudgetReport) -> Iterator[str]:
    """Yield the budget as CSV: a figure a line, in minor units."""
    yield csv_row("program", "as_of", "figure", "currency", "value")
    for figure, currency, value in lines(its.budget):
        yield csv_row(its.program, its.as_of.isoformat(), figure, currency, "" if value is None else str(value))


def lines(its: BudgetShown) -> Iterator[tuple[str, str, int | None]]:
    """Yield each figure with its currency and amount; None is no budget."""
    for figure in ("budget_minor", "left_minor", "left_after_waiting_minor", "left_after_all_minor"):
        yield figure, its.currency, getattr(its, figure)
    for each in its.spending:
        for figure in ("used_minor", "spent_minor", "approved_minor", "waiting_minor", "expected_minor"):
            yield figure, each.currency, getattr(each, figure)
