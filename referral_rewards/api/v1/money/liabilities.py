"""Liabilities at a moment: what is owed by the books, for the accruals of a month's end."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from models.session import Database
from referral_rewards.api.dependencies import Bookkeeper, Its
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.fields import AS_OF, TEXT, AsOf
from referral_rewards.domain.calendar import zone
from referral_rewards.domain.measures.as_of import moment_named
from referral_rewards.reporting.books import liabilities
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.books.liabilities import Liabilities, Wanted

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_EXAMPLE: Final[dict[str, Any]] = {
    "as_of": "2026-08-01T00:00:00Z",
    "program": None,
    "totals": [
        {
            "kind": "payable",
            "currency": "CAD",
            "owed_minor": 7500,
            "other_programs_minor": 0,
            "ledger_minor": 7500,
            "difference_minor": 0,
        }
    ],
    "accounts": [{"kind": "payable", "owner": "dexter", "currency": "CAD", "owed_minor": 7500}],
    "next": None,
}


class Asked(BaseModel):
    """Which liabilities."""

    model_config = ConfigDict(extra="forbid")

    as_of: AsOf | None = Field(default=None, description=f"{AS_OF} Days are in UTC.")
    program: Annotated[str, Field(max_length=200, pattern=TEXT)] | None = Field(
        default=None, description="Only of this program."
    )
    after: Annotated[str, Field(max_length=400, pattern=TEXT)] = Field(
        default="", description="The value of `next` from the previous page."
    )
    limit: int = Field(default=1000, ge=1, le=5000)
    format: Literal["json", "csv"] = Field(default="json", description="How it is written. CSV has all accounts.")


def wanted(as_of: str | None, program: str | None, now: datetime) -> Wanted:
    """Return which liabilities are meant. A day is one of the books: it ends in UTC.

    Raises:
        RequestInvalid: if ``as_of`` is no moment of the past.
    """
    return Wanted(moment_named(as_of, zone("UTC"), now) if as_of is not None else None, program)


@router.get(
    "/liabilities",
    summary="What is owed at a date",
    response_model=Liabilities,
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}, "text/csv": {}}}},
)
async def show_liabilities(
    parts: Its, person: Bookkeeper, asked: Annotated[Asked, Query()]
) -> Liabilities | StreamingResponse:
    """Returns what the books owed by account, and in all by kind of account and currency, tied to the ledger's own
    balances. What payees owe to us is below zero. Days are in UTC, as in the ledger; currencies are never added up."""
    now = datetime.now(UTC)
    of = wanted(asked.as_of, asked.program, now)
    if asked.format == "csv":
        return await file_of(parts.database, of, now)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        return await liabilities.report(connection, of, now, after=asked.after, limit=asked.limit)


async def file_of(database: Database, of: Wanted, now: datetime) -> StreamingResponse:
    """Stream the liabilities as CSV."""
    name = f"liabilities{f'-{of.program}' if of.program else ''}-{of.before or now:%Y-%m-%dT%H%M%SZ}.csv"
    return await sent(database, lambda connection: liabilities.as_csv(connection, of, now), name)
