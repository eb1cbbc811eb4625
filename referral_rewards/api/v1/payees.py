"""Payees: payment methods, tax forms, and what they were paid, are owed or wait for."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from referral_rewards.api.dependencies import Bookkeeper, Reading
from referral_rewards.api.v1.fields import TEXT, NamedInPath
from referral_rewards.api.v1.reports import YEARS
from referral_rewards.reporting.payees.listing import PayeeInList, Wanted, listing
from referral_rewards.reporting.payees.profile import PayeeShown, profile
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/payees", tags=["payees"])


class PayeePage(Shape):
    """Payees for whom rewards were approved. ``next`` is the value of `after` for the next page; null at the end."""

    payees: tuple[PayeeInList, ...]
    next: str | None


@router.get("", summary="List payees")
async def list_payees(
    connection: Reading,
    person: Bookkeeper,
    held: Annotated[bool, Query(description="Only payees with a reward that waits for a tax form.")] = False,
    after: Annotated[
        str, Query(max_length=500, pattern=TEXT, description="The value of `next` from the previous page.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> PayeePage:
    """Lists payees by page."""
    found = await listing(connection, Wanted(held=held, after=after, limit=limit), datetime.now(UTC))
    return PayeePage(payees=tuple(found), next=found[-1].payee if len(found) == limit else None)


@router.get("/{payee:path}", summary="Show a payee")
async def show_payee(
    payee: NamedInPath,
    connection: Reading,
    person: Bookkeeper,
    year: Annotated[int | None, Query(**YEARS, description="Year of the totals; the current one by default.")] = None,
) -> PayeeShown:
    """Returns methods, tax forms, the year's totals, and what waits, is owed or was paid, without personal data."""
    return await profile(connection, payee, datetime.now(UTC), year)
