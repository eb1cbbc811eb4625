"""Lifetime referral value: what the referees of a referrer bring, less what their rewards cost."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Its, Person
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.fields import AS_OF, TEXT, AsOf, NamedInPath
from referral_rewards.domain.measures.measures import Days
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import lifetime
from referral_rewards.reporting.measures.lifetime import Lifetime
from referral_rewards.reporting.measures.program import Wanted, moment

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_VALUE: Final[dict[str, Any]] = {
    "currency": "CAD",
    "customers": 2,
    "orders": 5,
    "revenue_minor": 48_000,
    "repeat_minor": 28_000,
    "cost_minor": 5_000,
    "value_minor": 43_000,
}
_EXAMPLE: Final[dict[str, Any]] = {
    "program": "acme-friends",
    "partner": None,
    "referrer": None,
    "as_of": "2026-11-20T09:00:00Z",
    "behind": 0,
    "cohorts": [{"month": "2026-07-01", "referrers": 3, "values": [_VALUE]}],
    "referrers": [{**_VALUE, "referrer": "dexter", "month": "2026-07-01"}],
    "next": None,
}


class Asked(BaseModel):
    """Whose referrals, and which referrers to list."""

    model_config = ConfigDict(extra="forbid")

    partner: Annotated[str, Field(max_length=200, pattern=TEXT)] | None = Field(
        default=None, description="Only referrals of referrers whose enrolment names this partner."
    )
    referrer: Annotated[str, Field(max_length=200, pattern=TEXT)] | None = Field(
        default=None, description="Only referrals of this referrer."
    )
    as_of: AsOf | None = Field(default=None, description=f"{AS_OF} Days are the program's.")
    after: Annotated[str, Field(max_length=200, pattern=TEXT)] = Field(
        default="", description="The value of `next` from the previous page."
    )
    limit: int = Field(default=100, ge=1, le=1000)
    format: Literal["json", "csv"] = Field(default="json", description="How it is written. CSV has every referrer.")


@router.get(
    "/lifetime/{program}",
    summary="The lifetime value of referrals, by referrer and by cohort",
    response_model=Lifetime,
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}, "text/csv": {}}}},
)
async def lifetime_value(
    parts: Its, person: Person, program: NamedInPath, asked: Annotated[Asked, Query()]
) -> Lifetime | StreamingResponse:
    """Returns, in minor units by currency, the net revenue of referees for whom a reward was paid, repeat orders
    included, less what was settled and not taken back: by the month of a referrer's first referral, and by referrer."""
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        as_of = await moment(connection, program, asked.as_of, now)
        wanted = Wanted(program, Days(), asked.partner, asked.referrer, as_of)
        if asked.format == "json":
            known = await lifetime.source(connection, wanted)
            return await lifetime.report(connection, wanted, now, known, after=asked.after, limit=asked.limit)
    return await sent(
        parts.database, lambda connection: lifetime.as_csv(connection, wanted, now), f"lifetime-{program}.csv"
    )
