"""A program's budget: what of it is used, what waits for it, and what would be left."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.pages import page, zone_of
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.measures.definitions import DEFINITIONS, Definition
from referral_rewards.domain.measures.figures import Figure
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import budget
from referral_rewards.reporting.measures.budget import BudgetShown, SpendingShown
from referral_rewards.reporting.measures.program import moment as moment_of

router = APIRouter()

Typed = Annotated[str, Query(max_length=200, pattern=TEXT)]


class Row(NamedTuple):
    """A line of the page: what it is, its amount in minor units, and the figure whose referrals are behind it. A
    ``total`` is what is left after the lines above."""

    defined: Definition
    minor: int
    figure: Figure | None = None
    total: bool = False


@router.get("/reports/program/{program}/budget")
async def show(visit: Reader, parts: Its, program: str, as_of: Typed = "") -> Response:
    """The budget as of now, or of a past moment as it was on record then."""
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        zone = await zone_of(connection, program)
        if zone is None:
            raise NotFound("program", program)
        moment = await moment_of(connection, program, as_of.strip() or None, now)
        found = await budget.report(connection, program, moment, now, parts.keys)
    return page(
        "budget.html",
        visit,
        zone=zone,
        here="/reports",
        program=program,
        found=found,
        as_of_day=as_of.strip(),
        rows=list(_against(found.budget)),
        others=[(each.currency, list(_spent(each))) for each in _apart(found.budget)],
    )


def _apart(its: BudgetShown) -> tuple[SpendingShown, ...]:
    """What does not stand in the table of the budget: other currencies, and all of it where there is no budget."""
    return its.spending if its.budget_minor is None else its.spending[1:]


def _against(its: BudgetShown) -> Iterator[Row]:
    """What is taken from the budget step by step; nothing where there is none."""
    if its.budget_minor is None or its.left_minor is None:
        return
    assert its.left_after_waiting_minor is not None
    assert its.left_after_all_minor is not None
    own = its.spending[0]
    yield Row(DEFINITIONS["budget"], its.budget_minor)
    yield Row(DEFINITIONS["budget_used"], own.used_minor, Figure.BUDGETED)
    yield Row(DEFINITIONS["budget_left"], its.left_minor, total=True)
    yield Row(DEFINITIONS["budget_waiting"], own.waiting_minor, Figure.REWARDS_WAITING)
    yield Row(DEFINITIONS["budget_left_after_waiting"], its.left_after_waiting_minor, total=True)
    yield Row(DEFINITIONS["budget_expected"], own.expected_minor, Figure.REWARDS_EXPECTED)
    yield Row(DEFINITIONS["budget_left_after_all"], its.left_after_all_minor, total=True)
    yield Row(DEFINITIONS["budget_spent"], own.spent_minor, Figure.SETTLED)
    yield Row(DEFINITIONS["budget_approved"], own.approved_minor, Figure.PAYABLE)


def _spent(each: SpendingShown) -> Iterator[Row]:
    yield Row(DEFINITIONS["budget_spent"], each.spent_minor, Figure.SETTLED)
    yield Row(DEFINITIONS["budget_approved"], each.approved_minor, Figure.PAYABLE)
    yield Row(DEFINITIONS["budget_waiting"], each.waiting_minor, Figure.REWARDS_WAITING)
    yield Row(DEFINITIONS["budget_expected"], each.expected_minor, Figure.REWARDS_EXPECTED)
