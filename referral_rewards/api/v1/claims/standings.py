"""What a front door shows: where the referrals of a referrer stand, and what a program promises.

A service reads it with the scope `referrals:read`, for the programs that it was given; it sees what the people
concerned may see, and nothing of how we judge them.
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Its, Parts, Reading, StandingsReader
from referral_rewards.api.v1.fields import TEXT, NamedInPath
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.notices import status_links
from referral_rewards.register.people.users import User
from referral_rewards.reporting.referrals import standings
from referral_rewards.reporting.referrals.standings import LISTED_MAX, Offer, Standing
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/standings", tags=["standings"])
offers = APIRouter(prefix="/v1/offers", tags=["standings"])

_Id = Annotated[str, Field(min_length=1, max_length=200, pattern=TEXT)]


class StandingPage(Shape):
    """Referrals, the newest first. ``next`` is the value of `after` for the next page; null at the end."""

    standings: tuple[Standing, ...]
    next: str | None


class StandingFilters(BaseModel):
    """Whose referrals, in which program."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: _Id
    referrer: _Id
    after: Annotated[str | None, Field(max_length=200, pattern=TEXT)] = None
    limit: Annotated[int, Field(ge=1, le=LISTED_MAX)] = LISTED_MAX


@router.get("", summary="List where the referrals of a referrer stand")
async def list_standings(
    request: Request,
    connection: Reading,
    parts: Its,
    user: StandingsReader,
    asked: Annotated[StandingFilters, Query()],
) -> StandingPage:
    """Lists the referrals of one referrer in one program, as the referrer may see them: status, reason, what comes
    next, and their own rewards. Somebody who never referred anybody has none."""
    user.need_program(asked.program)
    ids = await standings.of_referrer(
        connection, asked.program, asked.referrer, after=asked.after or None, limit=asked.limit
    )
    found = [await _standing(connection, parts, user, request, each, Side.REFERRER) for each in ids]
    return StandingPage(standings=tuple(found), next=ids[-1] if len(ids) == asked.limit else None)


@router.get("/{referral:path}", summary="Show where a referral stands for one side")
async def show_standing(
    referral: NamedInPath,
    request: Request,
    connection: Reading,
    parts: Its,
    user: StandingsReader,
    side: Side = Side.REFERRER,
) -> Standing:
    """Returns where it stands for that side, with `status_url` for a token that may read links to status pages."""
    return await _standing(connection, parts, user, request, referral, side)


@offers.get("/{program:path}", summary="Show what a program promises")
async def show_offer(program: NamedInPath, connection: Reading, parts: Its, user: StandingsReader) -> Offer:
    """Returns, by the terms in force now, what each side gets and how long the periods are, in words."""
    user.need_program(program)
    found = await standings.offer(connection, program, parts.keys, datetime.now(UTC))
    if found is None:
        raise NotFound("program", program)
    return found


async def _standing(
    connection: AsyncConnection, parts: Parts, user: User, request: Request, referral: str, side: Side
) -> Standing:
    row = await standings.row_of(connection, referral)
    # Whether there is such a referral elsewhere, a service does not learn.
    if row is None or not user.reads_program(row.program):
        raise NotFound("referral", referral)
    url = _status_url(parts, request, row, side) if Scope.STATUS_LINKS in user.scopes else None
    return await standings.standing(connection, row, side, parts.keys, url)


def _status_url(parts: Parts, request: Request, row: Referral, side: Side) -> str:
    home = parts.home_url or str(request.base_url).rstrip("/")
    return home + status_links.path(parts.link_keys[0], row, side)
