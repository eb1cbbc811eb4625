"""Payees: payment methods, tax forms, and what they were paid, are owed or wait for."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Bookkeeper, Its, Parts, Reading
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.fields import YEARS, Day, NamedInPath
from referral_rewards.api.v1.listing import AS_FILE, ListFilters, file_of, order_of, page_of
from referral_rewards.domain.measures.measures import Days
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.payees import ORDERS, PAYEES, PayeeInList, Wanted
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.payees import statement
from referral_rewards.reporting.payees.profile import PayeeShown, profile
from referral_rewards.reporting.payees.statement import Statement
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/payees", tags=["payees"])


class PayeePage(Shape):
    """Payees for whom rewards were approved. ``next`` is the value of `after` for the next page; null at the end."""

    payees: tuple[PayeeInList, ...]
    next: str | None
    totals: Totals | None = None


class PayeeFilters(ListFilters):
    """Filters of the list of payees."""

    held: bool = Field(False, description="Only payees with a reward that waits for a tax form.")
    sort: str = order_of(ORDERS)


@router.get("", summary="List payees", response_model=PayeePage, responses=AS_FILE)
async def list_payees(
    parts: Its, person: Bookkeeper, asked: Annotated[PayeeFilters, Query()]
) -> PayeePage | StreamingResponse:
    """Lists payees by page, or all of them as a file. With days, those of whom rewards were approved on these, and the
    amounts of these rewards as they stand now."""
    of = partial(Wanted, held=asked.held)
    if asked.format == "csv":
        return await file_of(parts, PAYEES, asked, of)
    found = await page_of(parts, PAYEES, asked, of)
    return PayeePage(payees=tuple(found.rows), next=found.next, totals=found.totals)


class StatementAsked(BaseModel):
    """The days of a statement, and its form."""

    model_config = ConfigDict(extra="forbid")

    since: Day | None = Field(default=None, alias="from", description="The first day, in UTC.")
    until: Day | None = Field(default=None, alias="to", description="The day after the last one.")
    format: Literal["json", "csv"] = Field(default="json", description="How it is written.")


@router.get("/{payee:path}/statement", summary="A payee's statement", response_model=Statement, responses=AS_FILE)
async def show_statement(
    payee: NamedInPath, parts: Its, person: Bookkeeper, asked: Annotated[StatementAsked, Query()]
) -> Statement | StreamingResponse:
    """Returns the opening balance, each event and the closing balance in each currency, as the books have them. A
    balance is what we owe the payee less what the payee owes us. At most 2,000 events are shown; a file has all."""
    its = Asked(Days.between(asked.since, asked.until))
    if asked.format == "csv":
        return await file_of_statement(parts, payee, its)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        return await statement.statement(connection, payee, its, datetime.now(UTC))


async def file_of_statement(parts: Parts, payee: str, asked: Asked) -> StreamingResponse:
    """Return the whole statement as a file.

    Raises:
        NotFound: if there is no such payee.
    """
    return await sent(parts.database, lambda connection: statement.written(connection, payee, asked), "statement.csv")


@router.get("/{payee:path}", summary="Show a payee")
async def show_payee(
    payee: NamedInPath,
    connection: Reading,
    person: Bookkeeper,
    year: Annotated[int | None, Query(**YEARS, description="Year of the totals; the current one by default.")] = None,
) -> PayeeShown:
    """Returns methods, tax forms, the year's totals, and what waits, is owed or was paid, without personal data."""
    return await profile(connection, payee, datetime.now(UTC), year)
