"""Where referrals stand, and why."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from referral_rewards.api.dependencies import Its, Person, Reading
from referral_rewards.api.v1.fields import TEXT, NamedInPath
from referral_rewards.api.v1.shapes import ReferralPage, ReferralShown
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.referrals.everything import showing
from referral_rewards.reporting.referrals.listing import Wanted, listing

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])

Text = Annotated[str | None, Query(max_length=500, pattern=TEXT)]


@router.get("", summary="List referrals", responses={200: {"model": ReferralPage}})
async def list_referrals(
    connection: Reading,
    person: Person,
    program: Text = None,
    status: ReferralStatus | None = None,
    after: Text = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Any:
    """In the form of `referrals list --json`, a page at a time."""
    wanted = Wanted(program=program, status=status, after=after, limit=limit)
    found = [each async for each in listing(connection, wanted)]
    return {"referrals": found, "next": found[-1]["referral"] if len(found) == limit else None}


@router.get("/{referral:path}", summary="Show a referral", responses={200: {"model": ReferralShown}})
async def show_referral(referral: NamedInPath, connection: Reading, person: Person, parts: Its) -> Any:
    """Everything about one referral: its periods, facts, claim, decisions, payouts and history."""
    return await showing(connection, referral, parts.keys)
