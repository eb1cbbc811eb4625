"""Payees: payment methods, tax forms, and what they were paid, are owed or wait for."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from referral_rewards.api.dependencies import Bookkeeper, Its, Reading
from referral_rewards.api.v1.fields import NamedInPath
from referral_rewards.api.v1.listing import AS_FILE, ListFilters, file_of, order_of, page_of
from referral_rewards.api.v1.reports import YEARS
from referral_rewards.reporting.lists.payees import ORDERS, PAYEES, PayeeInList, Wanted
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.payees.profile import PayeeShown, profile
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


@router.get("/{payee:path}", summary="Show a payee")
async def show_payee(
    payee: NamedInPath,
    connection: Reading,
    person: Bookkeeper,
    year: Annotated[int | None, Query(**YEARS, description="Year of the totals; the current one by default.")] = None,
) -> PayeeShown:
    """Returns methods, tax forms, the year's totals, and what waits, is owed or was paid, without personal data."""
    return await profile(connection, payee, datetime.now(UTC), year)
