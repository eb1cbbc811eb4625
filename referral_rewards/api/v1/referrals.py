"""Where referrals stand, and why."""

from typing import Annotated

from fastapi import APIRouter, Query

from referral_rewards.api.dependencies import Its, Person, Reading
from referral_rewards.api.v1.fields import TEXT, NamedInPath
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.referrals.everything import ReferralShown, showing
from referral_rewards.reporting.referrals.listing import ReferralInBrief, Wanted, listing
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])

Text = Annotated[str | None, Query(max_length=500, pattern=TEXT)]


class ReferralPage(Shape):
    """Referrals by their ids. ``next`` is what `after` takes for the page that follows; null at the end."""

    referrals: tuple[ReferralInBrief, ...]
    next: str | None


@router.get("", summary="List referrals")
async def list_referrals(
    connection: Reading,
    person: Person,
    program: Text = None,
    status: ReferralStatus | None = None,
    after: Text = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ReferralPage:
    """In the form of `referrals list --json`, a page at a time."""
    wanted = Wanted(program=program, status=status, after=after, limit=limit)
    found = tuple([each async for each in listing(connection, wanted)])
    return ReferralPage(referrals=found, next=found[-1].referral if len(found) == limit else None)


@router.get("/{referral:path}", summary="Show a referral", response_model_exclude_unset=True)
async def show_referral(referral: NamedInPath, connection: Reading, person: Person, parts: Its) -> ReferralShown:
    """Everything about one referral: its periods, facts, claim, decisions, payouts and history."""
    return await showing(connection, referral, parts.keys)
