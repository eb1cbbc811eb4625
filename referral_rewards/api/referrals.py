"""Where referrals stand, and why."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from referral_rewards.api.parts import Its, Person, Reading
from referral_rewards.domain.lifecycle import ReferralStatus
from referral_rewards.reporting.listing import Wanted, listing
from referral_rewards.reporting.showing import showing

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])


class Page(BaseModel):
    """Referrals by their ids. ``next`` is what `after` takes for the page that follows; null at the end."""

    referrals: list[dict[str, Any]]
    next: str | None


@router.get("", summary="List referrals")
async def list_referrals(
    connection: Reading,
    person: Person,
    program: str | None = None,
    status: ReferralStatus | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page:
    """In the form of `referrals list --json`, a page at a time."""
    wanted = Wanted(program=program, status=status, after=after, limit=limit)
    found = [each async for each in listing(connection, wanted)]
    return Page(referrals=found, next=found[-1]["referral"] if len(found) == limit else None)


@router.get("/{referral:path}", summary="Show a referral")
async def show_referral(referral: str, connection: Reading, person: Person, parts: Its) -> dict[str, Any]:
    """Everything about one referral: its periods, facts, claim, decisions, payouts and history."""
    return await showing(connection, referral, parts.keys)
