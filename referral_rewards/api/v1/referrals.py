"""Referrals: their status and the reason for it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, StrictBool
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Decider, Its, Person, Reading, acting
from referral_rewards.api.v1.fields import TEXT, NamedInPath
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, Side
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import audit, programs
from referral_rewards.register.notices import status_links
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.referrals.everything import ReferralShown, showing
from referral_rewards.reporting.referrals.listing import ReferralInBrief, Wanted, listing
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])

Text = Annotated[str | None, Query(max_length=500, pattern=TEXT)]


class ReferralPage(Shape):
    """Referrals by their ids. ``next`` is the value of `after` for the next page; null at the end."""

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
    """Lists referrals in the form of `referrals list --json`, by page."""
    wanted = Wanted(program=program, status=status, after=after, limit=limit)
    found = tuple([each async for each in listing(connection, wanted)])
    if not found:
        await programs.hold_known(connection, program)
    return ReferralPage(referrals=found, next=found[-1].referral if len(found) == limit else None)


class NewStatusLink(BaseModel):
    """The side whose status the link shows; ``revoke`` revokes every earlier link."""

    model_config = ConfigDict(extra="forbid")

    side: Side
    revoke: StrictBool = False


class StatusLink(BaseModel):
    """A secret link: anyone who has it can see that page, and appeal there."""

    url: str


@router.post("/{referral:path}/status-links", summary="Give out the link to one side's own status page")
async def give_status_link(
    referral: NamedInPath, new: NewStatusLink, request: Request, parts: Its, person: Decider
) -> StatusLink:
    """Returns the same link each time, until it is revoked. The audit log records the user who issued it."""
    key = parts.intake.key_for(status_links.PURPOSE)

    async def give(connection: AsyncConnection, now: datetime) -> Referral:
        if new.revoke:
            await status_links.revoke(connection, referral, new.side)
        row = await referrals.row(connection, referral)
        if row is None:
            raise NotFound("referral", referral)
        act = "status_link.renewed" if new.revoke else "status_link.given"
        await audit.note(connection, actor=person.name, act=act, subject=referral, at=now, side=new.side)
        return row

    row = await acting(parts, person, give)
    home = parts.home_url or str(request.base_url).rstrip("/")
    return StatusLink(url=home + status_links.path(key, row, new.side))


@router.get("/{referral:path}", summary="Show a referral", response_model_exclude_unset=True)
async def show_referral(referral: NamedInPath, connection: Reading, person: Person, parts: Its) -> ReferralShown:
    """Returns everything about one referral: its periods, facts, claim, decisions, payouts and history."""
    return await showing(connection, referral, parts.keys)
