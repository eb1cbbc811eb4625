"""The books: the trial balance, and exports of any length."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from models.session import Database
from referral_rewards.api.dependencies import Bookkeeper, Its
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.fields import Day
from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.reporting.books import beancount, journal
from referral_rewards.reporting.books.balances import AccountBalance, ColumnTotals, Wanted, balances, totals
from referral_rewards.reporting.books.journal import Span, see_one_moment
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/ledger", tags=["ledger"])

Text = Annotated[str, Query(max_length=300, pattern=r"^[^\x00]*$")]
Since = Annotated[Day | None, Query(description="The first day, in UTC.")]
Until = Annotated[Day | None, Query(description="The last day, in UTC.")]
FileFormat = Literal["beancount", "csv"]


class TrialBalance(Shape):
    """Accounts by their names. ``next`` is the value of `after` for the next page; null at the end."""

    as_of: AwareDatetime
    totals: tuple[ColumnTotals, ...]
    accounts: tuple[AccountBalance, ...]
    next: str | None


@router.get("/balance", summary="The trial balance")
async def show_balance(
    parts: Its,
    person: Bookkeeper,
    at: Annotated[Day | None, Query(description="At the end of this day, in UTC; now by default.")] = None,
    kind: AccountKind | None = None,
    settled: Annotated[bool, Query(description="Also accounts with a zero balance.")] = False,
    after: Annotated[Text, Query(description="The value of `next` from the previous page.")] = "",
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> TrialBalance:
    """Lists the balance of each account; accounts with a zero balance are left out unless requested.

    The totals on every page are those of all accounts.
    """
    before = Span.of(None, at).ends_before
    currency, _, account = after.partition(" ")
    wanted = Wanted(
        before=before, kind=kind, after=(account, currency) if after else None, limit=limit, settled=settled
    )
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        found = [each async for each in balances(connection, wanted)]
        columns = await totals(connection, before)
    return TrialBalance(
        as_of=min(before or datetime.max.replace(tzinfo=UTC), datetime.now(UTC)),
        totals=tuple(columns),
        accounts=tuple(found),
        next=f"{found[-1].currency} {found[-1].account}" if len(found) == limit else None,
    )


@router.get(
    "/export",
    summary="The books as a file",
    response_class=StreamingResponse,
    responses={200: {"description": "The file.", "content": {"text/plain": {}, "text/csv": {}}}},
)
async def export_ledger(
    parts: Its,
    person: Bookkeeper,
    format: Annotated[FileFormat, Query(description="Beancount text, or CSV with one line for each posting.")],  # noqa: A002
    since: Since = None,
    until: Until = None,
) -> StreamingResponse:
    """Exports the books from one day to another, both included. They contain ids and no personal data."""
    return await file_of(parts.database, format, Span.of(since, until))


async def file_of(database: Database, format_: FileFormat, span: Span) -> StreamingResponse:
    """Stream the books as a file."""
    days = "-to-".join(str(day) for day in (span.since, span.until) if day is not None)
    name = f"ledger{f'-{days}' if days else ''}.{format_}"
    written = (beancount if format_ == "beancount" else journal).export
    return await sent(database, lambda connection: written(connection, span), name)
