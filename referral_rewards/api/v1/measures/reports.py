"""Reports: a program's measures, what is behind a figure, and files of any length."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Bookkeeper, Its, Person, Reading
from referral_rewards.api.v1.downloads import KINDS, sent
from referral_rewards.api.v1.fields import AS_OF, TEXT, YEARS, AsOf, Day, NamedInPath
from referral_rewards.api.v1.measures.budgets import EXAMPLE as BUDGET
from referral_rewards.domain.measures.figures import Figure
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.payouts.rail_catalogue import MANUAL
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import behind as behind_figure
from referral_rewards.reporting.measures import program as measured
from referral_rewards.reporting.measures import sheet as sheet_of
from referral_rewards.reporting.measures.behind import BehindPage
from referral_rewards.reporting.measures.program import ProgramReport, Wanted
from referral_rewards.reporting.payees import year as sheet
from referral_rewards.reporting.payees.year import Regime

router = APIRouter(prefix="/v1/reports", tags=["reports"])

Year = Annotated[int, Query(**YEARS, examples=[2026])]
"""A calendar year."""


_A_YEAR: Final = {
    "payee": "dexter",
    "regime": "us",
    "currency": "USD",
    "by_kind": {"cash": 210_000},
    "by_rail": {MANUAL.name: 210_000},
    "total_minor": 210_000,
    "threshold_minor": 200_000,
    "reportable": False,
    "grounds": "foreign",
    "payee_status": "foreign",
    "form": "W-8BEN",
    "form_standing": "in_force",
    "form_until": "2030-01-01T00:00:00Z",
    "withheld_minor": 0,
    "clawed_back_minor": 0,
    "others_file": [],
}


@router.get(
    "/tax",
    summary="What each payee was paid in a calendar year",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file.",
            "content": {"text/csv": {}, "application/json": {"example": {"year": 2026, "payees": [_A_YEAR]}}},
        }
    },
)
async def tax_report(
    parts: Its,
    person: Bookkeeper,
    year: Year,
    regime: Annotated[Regime | None, Query(description="Only under this tax regime.")] = None,
    format_: Annotated[Literal["csv", "json"], Query(alias="format", description="How the file is written.")] = "csv",
) -> StreamingResponse:
    """Returns a line for each payee and currency: the amounts paid by kind and over which rails, whether they must be
    reported and why, the form on file, and the amounts withheld and returned. It contains ids and no personal data.

    A payee who is foreign by the form on file is never reportable: `grounds` says that another form may be due."""
    now, of = datetime.now(UTC), regime.value if regime else None
    write = sheet.report_as_json if format_ == "json" else sheet.report
    name = f"tax-{year}{f'-{of}' if of else ''}.{format_}"
    return await sent(parts.database, lambda connection: write(connection, year, now, regime=of), name)


_EXAMPLE: Final = {
    "program": "acme-friends",
    "partner": None,
    "referrer": None,
    "from": "2026-07-01",
    "to": "2026-08-01",
    "as_of": "2026-11-20T09:00:00Z",
    "behind": 0,
    "measures": {
        "claims_created": 3,
        "claims_approved": 2,
        "denied_by_rule": 1,
        "denied_by_decision": 0,
        "waiting": 0,
        "exceptions": {"claims": 1, "by_flag": {"partial_refund": 1}},
        "disputed_attribution": 0,
        "disputes_settled": {},
        "duplicate_claims": {"claims": 0, "would_have_cost": []},
        "payout_time": {
            "conversion_to_settled": {"n": 2, "median_s": 1296000.0, "p95_s": 1382400.0},
            "due_to_decided": {"n": 2, "median_s": 43200.0, "p95_s": 81000.0},
            "decided_to_settled": {"n": 2, "median_s": 3.2, "p95_s": 4.1},
        },
        "reward_cost": [
            {"currency": "CAD", "kind": "cash", "settled_minor": 5000, "taken_back_minor": 0, "payable_minor": 0}
        ],
        "referred_revenue": [
            {
                "currency": "CAD",
                "rewarded_minor": 20000,
                "converted_minor": 26000,
                "gross_minor": 28000,
                "reversed_minor": 2000,
            }
        ],
        "referrer_satisfaction": {
            "asked": 2,
            "answered": 1,
            "answer_rate": 0.5,
            "n": 1,
            "mean": 5.0,
            "scores": {"5": 1},
        },
        "funnel": {"began": 9, "claimed": 5, "converted": 3, "assembled": 3, "approved": 2, "rewarded": 2},
        "refund_rate": 0.3333333333333333,
        "cost_per_acquired_customer": [{"currency": "CAD", "customers": 2, "minor": 2500}],
    },
    "referral_reward_eligibility_accuracy": {
        "paid": 2,
        "accurate": 1,
        "share": 0.5,
        "by_decision": 0,
        "marks_removed": 0,
        "behind": 0,
        "failing": [
            {
                "referral": "r1",
                "role": "referrer",
                "parts": ["payout_amount"],
                "why": ["its amount is 35.00 CAD; right would be 25.00 CAD"],
            }
        ],
    },
    "budget": BUDGET,
}


class Slice(BaseModel):
    """Which referrals a report is of, and over which days of the program's calendar."""

    model_config = ConfigDict(extra="forbid")

    since: Day | None = Field(default=None, alias="from", description="The first day.")
    until: Day | None = Field(default=None, alias="to", description="The day after the last one.")
    partner: Annotated[str, Field(max_length=200, pattern=TEXT)] | None = Field(
        default=None, description="Only referrals of referrers whose enrolment names this partner."
    )
    referrer: Annotated[str, Field(max_length=200, pattern=TEXT)] | None = Field(
        default=None, description="Only referrals of this referrer."
    )

    def of(self, program: str) -> Wanted:
        """What is wanted of a program.

        Raises:
            RequestInvalid: if its days end before they begin.
        """
        return Wanted(program, Days.between(self.since, self.until), self.partner, self.referrer)


class FormOfReport(Slice):
    as_of: AsOf | None = Field(default=None, description=f"{AS_OF} Days are the program's.")
    format: Literal["json", "csv"] = Field(default="json", description="How it is written.")


class FigureBehind(Slice):
    figure: Figure = Field(description="The figure.")
    part: Annotated[str, Field(max_length=100, pattern=TEXT)] | None = Field(
        default=None, description="Only of this part of it, such as a flag or a kind of reward."
    )
    after: Annotated[str, Field(max_length=200, pattern=TEXT)] = Field(
        default="", description="The value of `next` from the previous page."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    as_of: AsOf | None = Field(default=None, description=f"{AS_OF} Days are the program's.")


@router.get(
    "/program/{program}",
    summary="The measures of a program over a period",
    response_model=ProgramReport,
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}, "text/csv": {}}}},
)
async def program_report(
    parts: Its, person: Person, program: NamedInPath, asked: Annotated[FormOfReport, Query()]
) -> ProgramReport | StreamingResponse:
    """Returns the measures of the program: each counts in the period of the event that defines it, and amounts are as
    of now, in minor units. Currencies are never added up. Without days it is of all time.

    With `as_of` it says what was on record at that moment. This is recomputed from every referral of the program, which
    takes longer the more there are."""
    wanted, now = asked.of(program), datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        as_of = await measured.moment(connection, program, asked.as_of, now)
        found = await measured.report(connection, replace(wanted, as_of=as_of), now, parts.means, parts.keys)
    if asked.format == "json":
        return found
    headers = {"Content-Disposition": f'attachment; filename="program-{program}.csv"'}
    return StreamingResponse(sheet_of.as_csv(found), media_type=KINDS["csv"], headers=headers)


@router.get("/program/{program}/referrals", summary="The referrals behind a figure")
async def referrals_behind(
    connection: Reading, person: Person, program: NamedInPath, asked: Annotated[FigureBehind, Query()]
) -> BehindPage:
    """Returns the referrals that add to a figure of the report, by id, each with its day and what it adds. It lags the
    report by the seconds since each was last measured. With `as_of` it is the list behind the report as of then."""
    as_of = await measured.moment(connection, program, asked.as_of, datetime.now(UTC))
    wanted = replace(asked.of(program), as_of=as_of)
    return await behind_figure.behind(connection, wanted, asked.figure, asked.part, asked.after, asked.limit)
