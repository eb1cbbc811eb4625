"""The budget of a program: what of it is used, what waits for it, and what would be left."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from referral_rewards.api.dependencies import Its, Person
from referral_rewards.api.v1.fields import AS_OF, AsOf, NamedInPath
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import budget
from referral_rewards.reporting.measures import program as measured
from referral_rewards.reporting.measures.budget import BudgetReport

router = APIRouter(prefix="/v1/reports", tags=["reports"])

EXAMPLE: Final[dict[str, Any]] = {
    "currency": "CAD",
    "budget_minor": 5_000_000,
    "left_minor": 120_000,
    "left_after_waiting_minor": 40_000,
    "left_after_all_minor": -15_000,
    "warning": "The budget does not do for everything that is in its return period: it would lack 150.00 CAD.",
    "spending": [
        {
            "currency": "CAD",
            "used_minor": 4_880_000,
            "spent_minor": 4_700_000,
            "approved_minor": 180_000,
            "waiting_minor": 80_000,
            "expected_minor": 55_000,
        }
    ],
}
_REPORT: Final[dict[str, Any]] = {
    "program": "acme-friends",
    "as_of": "2026-11-20T09:00:00Z",
    "behind": 0,
    "budget": EXAMPLE,
}


@router.get(
    "/budget/{program}",
    summary="The budget of a program, and what is left of it",
    response_model=BudgetReport,
    responses={200: {"content": {"application/json": {"example": _REPORT}, "text/csv": {}}}},
)
async def program_budget(
    parts: Its,
    person: Person,
    program: NamedInPath,
    as_of: Annotated[AsOf | None, Query(description=f"{AS_OF} Days are the program's.")] = None,
    format: Annotated[Literal["json", "csv"], Query(description="How it is written.")] = "json",  # noqa: A002
) -> BudgetReport | StreamingResponse:
    """Returns what is spent, approved and not paid, waiting for approvers and expected from return periods, in minor
    units by currency, and what would be left of the budget, over the program's whole life."""
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        now = datetime.now(UTC)
        moment = await measured.moment(connection, program, as_of, now)
        found = await budget.report(connection, program, moment, now, parts.keys)
    if format == "json":
        return found
    headers = {"Content-Disposition": f'attachment; filename="budget-{program}.csv"'}
    return StreamingResponse(budget.as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
