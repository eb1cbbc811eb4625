"""Pulling connected sources: how it goes, and having one asked now, also for what happened long ago."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Administrator, Its, Parts, acting
from referral_rewards.api.openapi import refusals
from referral_rewards.domain.errors import NotFound, RequestInvalid
from referral_rewards.register import audit, outbox
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.source_events import cursors, keeping
from referral_rewards.register.source_events.cursors import PullState
from referral_rewards.reporting.shape import Instant
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.cursor import kept_since

router = APIRouter(prefix="/v1/sources", tags=["webhooks"])

Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,39}$", examples=["stripe-orders"])]


class PullOfSource(BaseModel):
    """How the pulling of a source goes, which asks its vendor for what no webhook brought.

    What happened before ``since`` is kept. ``under_way``: a pull has begun and is not at its end; ``problem``: why the
    vendor did not answer when it was asked last. ``events_new`` and ``events_known``: what pulls brought so far that
    was not on record, and that was. What happened from ``forgotten_since`` to ``forgotten_until`` was never asked for,
    because the vendor does not keep it any more.
    """

    every_seconds: int
    overlap_seconds: int
    since: Instant | None = None
    under_way: bool = False
    succeeded_at: Instant | None = None
    problem: str | None = None
    events_new: int = 0
    events_known: int = 0
    forgotten_since: Instant | None = None
    forgotten_until: Instant | None = None


#: An example of one.
PULL: Final[dict[str, Any]] = {
    "every_seconds": 600,
    "overlap_seconds": 3600,
    "since": "2026-06-01T13:00:00Z",
    "under_way": False,
    "succeeded_at": "2026-06-01T14:00:00Z",
    "problem": None,
    "events_new": 1,
    "events_known": 311,
    "forgotten_since": None,
    "forgotten_until": None,
}


def pull_of(source: ConnectedSource, state: PullState | None) -> PullOfSource | None:
    """Return how the pulling of a source goes; None if it is not pulled."""
    if source.pull is None:
        return None
    every, overlap = (int(each.total_seconds()) for each in (source.pull.every, source.pull.overlap))
    if state is None:
        return PullOfSource(every_seconds=every, overlap_seconds=overlap)
    return PullOfSource(
        every_seconds=every,
        overlap_seconds=overlap,
        since=state.since,
        under_way=state.under_way,
        succeeded_at=state.succeeded_at,
        problem=state.problem,
        events_new=state.events_new,
        events_known=state.events_known,
        forgotten_since=state.forgotten_since,
        forgotten_until=state.forgotten_until,
    )


def source_of(parts: Parts, name: str) -> ConnectedSource:
    """Return the source of a name.

    Raises:
        NotFound: if none is connected under it.
    """
    if (source := parts.event_sources.get(name)) is None:
        raise NotFound("source", name, parts.event_sources)
    return source


class Pulling(BaseModel):
    """Since when everything is to be asked for, by the vendor's clock; without it, since where the last pull ended."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"since": "2026-06-01T00:00:00Z"}]})

    since: AwareDatetime | None = None


class PullAsked(BaseModel):
    """Since when the source is asked; None if it was never pulled: then since shortly before now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"since": "2026-06-01T00:00:00Z"}]})

    since: Instant | None


@router.post(
    "/{name}/pull",
    summary="Ask a source for what happened",
    status_code=HTTPStatus.ACCEPTED,
    responses=refusals(HTTPStatus.NOT_FOUND),
)
async def pull_source(asked: Pulling, name: Name, parts: Its, person: Administrator) -> PullAsked:
    """Has the source pulled now, by a worker, instead of when it is due; `GET /v1/sources` shows how that goes. What is
    on record already changes nothing. Stripe tells its events for thirty days: an earlier ``since`` is refused."""
    source, now = source_of(parts, name), datetime.now(UTC)
    if source.pull is None:
        raise RequestInvalid(f"{name} is not pulled; give it an api and a pull in the file of sources")
    _check_since(source, asked.since, now)

    async def noted(connection: AsyncConnection, at: datetime) -> datetime | None:
        if asked.since is not None:
            await cursors.restart(connection, name, asked.since, at)
        said = {"since": None if asked.since is None else asked.since.isoformat()}
        await audit.note(connection, actor=person.name, act="source.pulled", subject=name, at=at, **said)
        await outbox.enqueue(connection, WakeupKind.PULL_DUE, name, keeping.event_number(name, ""))
        state = (await cursors.states(connection)).get(name)
        return None if state is None else state.since

    return PullAsked(since=await acting(parts, person, noted))


def _check_since(source: ConnectedSource, since: datetime | None, now: datetime) -> None:
    kept = kept_since(source.vendor.name, now)
    if since is not None and since > now:
        raise RequestInvalid("lies ahead of our clock", "since")
    if since is not None and kept is not None and since < kept:
        vendor, days = source.vendor.name, (now - kept).days
        raise RequestInvalid(
            f"is too early: {vendor} tells its events for {days} days, so ask since {kept:%Y-%m-%dT%H:%MZ} or later",
            "since",
        )
