"""The audit log over the API."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from referral_rewards.api.dependencies import Its, Person
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.api.v1.listing import AS_FILE, ListFilters, file_of, order_of, page_of
from referral_rewards.reporting.lists.audit import AUDIT, ORDERS, Event, Wanted
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Filter = Annotated[str | None, Field(max_length=200, pattern=TEXT)]


class Page(Shape):
    """Entries, the newest first unless another order is asked for. ``next`` is the value of `after` for the next page;
    null at the end."""

    events: tuple[Event, ...]
    next: str | None
    totals: Totals | None = None


class AuditFilters(ListFilters):
    """Filters of the audit log."""

    actor: Filter = Field(None, description="Who did it; `system` where no person acted.")
    act: Filter = Field(None, description="A noun and verb, such as `user.added`, or a noun for all its acts.")
    subject: Filter = Field(None, description="What it was done to: a user, a payee, a referral, a payout.")
    sign_ins: bool = Field(False, description="Also signing in and out.")
    sort: str = order_of(ORDERS)


@router.get("", summary="Who did what", response_model=Page, responses=AS_FILE)
async def list_events(parts: Its, person: Person, asked: Annotated[AuditFilters, Query()]) -> Page | StreamingResponse:
    """Lists what people did (decisions, exports, looks, changes to users, tokens, programs and the blocklist; also what
    was refused) and what moved money, by page or as a file. Sign-ins are left out unless they are asked for. Days are
    in UTC."""
    of = partial(
        Wanted,
        actor=asked.actor or None,
        act=asked.act or None,
        subject=asked.subject or None,
        sign_ins=asked.sign_ins,
    )
    if asked.format == "csv":
        return await file_of(parts, AUDIT, asked, of)
    found = await page_of(parts, AUDIT, asked, of)
    return Page(events=tuple(found.rows), next=found.next, totals=found.totals)
