"""The audit log over the API."""

from typing import Annotated

from fastapi import APIRouter, Query

from referral_rewards.api.dependencies import Person, Reading
from referral_rewards.reporting import audit
from referral_rewards.reporting.audit import Event
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Filter = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
#: Numbers are those of a Postgres bigint.
Number = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


class Page(Shape):
    """Acts, newest first. ``next`` is the value of `before` for the next page; null at the end."""

    events: tuple[Event, ...]
    next: int | None


@router.get("", summary="Who did what")
async def list_events(
    connection: Reading,
    person: Person,
    actor: Filter = None,
    act: Annotated[
        Filter, Query(description="A noun and verb, such as `user.add`, or a noun for all its acts.")
    ] = None,
    subject: Filter = None,
    before: Number = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page:
    """Lists sign-ins, decisions (both also if refused), and changes to users, tokens, programs and the blocklist."""
    events = await audit.listing(connection, audit.Wanted(actor, act, subject, before, limit))
    return Page(events=tuple(events), next=events[-1].number if len(events) == limit else None)
