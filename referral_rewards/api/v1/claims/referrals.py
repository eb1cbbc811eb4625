"""Referrals: their status and the reason for it."""

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Decider, Its, Person, Reading, acting
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.fields import NamedInPath
from referral_rewards.api.v1.listing import AS_FILE, ListFilters, Text, file_of, order_of, page_of
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, Side
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import audit
from referral_rewards.register.notices import status_links
from referral_rewards.register.notices.status_links import NoStatusYet
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import open_case
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.lists.referrals import BRIEFLY, LISTING, REFERRALS, Wanted
from referral_rewards.reporting.referrals.everything import ReferralShown, showing
from referral_rewards.reporting.referrals.listing import ReferralInBrief
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/referrals", tags=["referrals"])


class ReferralPage(Shape):
    """Referrals by their ids unless another order is asked for. ``next`` is the value of `after` for the next page;
    null at the end."""

    referrals: tuple[ReferralInBrief, ...]
    next: str | None
    totals: Totals | None = None


class ReferralFilters(ListFilters):
    """Filters of the list of referrals."""

    program: Text = None
    status: ReferralStatus | None = None
    q: Text = Field(None, description="How its id begins, or all of the id of its referrer, customer or order.")
    sort: str = order_of(LISTING.orders)


@router.get("", summary="List referrals", response_model=ReferralPage, responses=AS_FILE)
async def list_referrals(
    parts: Its, person: Person, asked: Annotated[ReferralFilters, Query()]
) -> ReferralPage | StreamingResponse:
    """Lists referrals by page in the form of `referrals list --json`, or all of them as a file. Days are those on which
    they began; what they come to is the net amount of their conversions."""
    of = partial(Wanted, program=asked.program, status=asked.status, q=asked.q)
    if asked.format == "csv":
        return await file_of(parts, REFERRALS, asked, of, asked.program)
    found = await page_of(parts, BRIEFLY, asked, of, asked.program)
    return ReferralPage(referrals=tuple(found.rows), next=found.next, totals=found.totals)


class NewStatusLink(BaseModel):
    """The side whose status the link shows; ``revoke`` revokes every earlier link."""

    model_config = ConfigDict(extra="forbid")

    side: Side
    revoke: StrictBool = False


class StatusLink(BaseModel):
    """A secret link: anyone who has it can see that page, and appeal there."""

    url: str


@router.post(
    "/{referral:path}/status-links",
    summary="Give out the link to one side's own status page",
    responses=refusals(HTTPStatus.CONFLICT),
)
async def give_status_link(
    referral: NamedInPath, new: NewStatusLink, request: Request, parts: Its, person: Decider
) -> StatusLink:
    """Returns the same link each time, until it is revoked. The audit log records the user who issued it. 409: no
    terms of its program are in force for it, so there is nothing to show."""
    key, *_ = parts.link_keys

    async def give(connection: AsyncConnection, now: datetime) -> Referral:
        if new.revoke:
            await status_links.revoke(connection, referral, new.side)
        row = await referrals.row(connection, referral)
        if row is None:
            raise NotFound("referral", referral)
        if await open_case(connection, row, now, parts.keys) is None:
            raise NoStatusYet(referral)
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
