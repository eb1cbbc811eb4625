"""The connected sources: what came of them, what their events would become, and reading kept ones again."""

from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api import source_events
from referral_rewards.api.dependencies import Administrator, Its, Parts, Person, Reading, acting
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1 import fields
from referral_rewards.api.v1.facts.source_pulls import PULL, Name, PullOfSource, pull_of, source_of
from referral_rewards.domain.errors import NotFound, RequestInvalid
from referral_rewards.domain.facts.ids import event_id_problem
from referral_rewards.register import audit
from referral_rewards.register.source_events import cursors, keeping, reading, stored
from referral_rewards.reporting.shape import Instant
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.port import Told
from referral_rewards.vendors.telling import Outcome, told

router = APIRouter(prefix="/v1/sources", tags=["webhooks"])

_DAYS: Final = 30
_PAGE: Final = 200


class EventsOfType(BaseModel):
    """How many events of one type had one outcome in the last thirty days. Those that were ignored are counted by their
    reason."""

    type: str
    outcome: Outcome
    why: str | None = Field(description="Why they were ignored; None for every other outcome.")
    events: int
    newest_at: Instant


class StuckEvent(BaseModel):
    """An event that could not be taken, and why."""

    event: str
    type: str
    why: str | None
    received_at: Instant


_LISTED: Final[dict[str, Any]] = {
    "sources": [
        {
            "name": "stripe-orders",
            "vendor": "stripe",
            "source": "acme/stripe",
            "tells": "conversion.recorded, conversion.reversed of acme/stripe",
            "mode": "live",
            "pull": PULL,
            "events": [
                {
                    "type": "invoice.paid",
                    "outcome": "read",
                    "why": None,
                    "events": 12,
                    "newest_at": "2026-06-01T14:00:00Z",
                },
            ],
            "stuck": [
                {
                    "event": "evt_1",
                    "type": "refund.created",
                    "why": "currency: is none of ISO 4217; a three-letter code such as usd",
                    "received_at": "2026-06-01T14:00:00Z",
                }
            ],
        }
    ]
}


class ListedSource(BaseModel):
    """A connected source; no secret of it is shown."""

    name: str
    vendor: str
    source: str = Field(description="The source of its facts.")
    tells: str
    mode: str
    pull: PullOfSource | None = Field(description="None if it is not pulled.")
    events: list[EventsOfType]
    stuck: list[StuckEvent]


class ListedSources(BaseModel):
    """The connected sources, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LISTED]})

    sources: list[ListedSource]


@router.get("", summary="List the connected sources")
async def list_event_sources(parts: Its, connection: Reading, person: Person) -> ListedSources:
    """What came of each in the last thirty days, by type and outcome, and the newest hundred events that stand before a
    person."""
    now = datetime.now(UTC)
    counts = await stored.counted(connection, now, _DAYS)
    stuck = await stored.stuck(connection, None, now)
    pulls = await cursors.states(connection)
    return ListedSources(
        sources=[
            ListedSource(
                name=name,
                vendor=source.vendor.name,
                source=source.mapping.source,
                tells=str(source.rights),
                mode=source.mapping.mode,
                pull=pull_of(source, pulls.get(name)),
                events=[
                    EventsOfType.model_validate(each, from_attributes=True) for each in counts if each.source == name
                ],
                stuck=[
                    StuckEvent(event=each.event_id, type=each.type, why=each.why, received_at=each.received_at)
                    for each in stuck
                    if each.source == name
                ],
            )
            for name, source in sorted(parts.event_sources.items())
        ]
    )


_TRIED: Final[dict[str, Any]] = {
    "events": [
        {
            "event": "evt_1",
            "type": "refund.created",
            "outcome": "read",
            "why": None,
            "awaits": "pi_1",
            "facts": [
                {
                    "specversion": "1.0",
                    "id": "re_1",
                    "source": "acme/stripe",
                    "type": "conversion.reversed",
                    "time": "2026-06-01T14:00:00+00:00",
                    "data": {
                        "order": "pi_1",
                        "reversal": "re_1",
                        "kind": "refund",
                        "amount": "20.00",
                        "currency": "USD",
                    },
                }
            ],
            "problems": [],
        }
    ]
}


class TriedEvent(BaseModel):
    """What one event would become now, by itself. ``awaits`` is the name that another event has to link."""

    event: str
    type: str
    outcome: Outcome
    why: str | None
    awaits: str | None
    facts: list[dict[str, Any]]
    problems: list[str]


class Tried(BaseModel):
    """What the events of a body would become."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TRIED]})

    events: list[TriedEvent]


_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "The body of a webhook; the headers that its vendor names are read too.",
        "content": {"application/json": {"schema": {}}},
    }
}


@router.post(
    "/{name}/try",
    openapi_extra=_BODY,
    summary="Show what an event would become",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
async def try_event(request: Request, name: Name, parts: Its, person: Person) -> Tried:
    """Reads a body with the source's mapping and shows its facts. Nothing is verified, stored or changed."""
    source = source_of(parts, name)
    if not (body := await request.body()):
        raise RequestInvalid("a body is needed, as a vendor sends it")
    request_told = Told(body, dict(request.headers), str(request.url), "POST")
    now = datetime.now(UTC)
    return Tried(events=[_tried(source, each, now) for each in reading.events_of(source, request_told)])


def _tried(source: ConnectedSource, each: keeping.Kept, now: datetime) -> TriedEvent:
    if each.reading is None:
        return TriedEvent(
            event=each.event_id,
            type=each.type,
            outcome=Outcome.UNREADABLE,
            why=each.why,
            awaits=None,
            facts=[],
            problems=[],
        )
    telling = told(each.reading, None, source.mapping.store)
    held = each.reading.facts if telling.outcome is Outcome.WAITING else ()
    facts = [*telling.facts, *(fact for fact in held if fact not in telling.facts)]
    _, problems = keeping.parsed(source, [fact for fact in facts if "order" in fact["data"]], now)
    return TriedEvent(
        event=each.event_id,
        type=each.type,
        outcome=Outcome.UNREADABLE if problems else telling.outcome,
        why=telling.why,
        awaits=telling.awaits,
        facts=[dict(fact) for fact in facts],
        problems=list(problems),
    )


class Replaying(BaseModel):
    """Which kept events to read again: one by its id, or all since an instant. ``after`` goes on where a page ended."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"since": "2026-06-01T00:00:00Z"}]})

    event: Annotated[str, Field(pattern=fields.TEXT, max_length=500)] | None = None
    since: AwareDatetime | None = None
    after: Annotated[str, Field(pattern=r"^[0-9TZ:.+-]{10,40} [0-9a-f-]{36}$")] | None = None


class Replayed(BaseModel):
    """What became of the events of a page: numbers by outcome, the facts that are new, and each event that could not be
    taken. ``next`` is the ``after`` of the next page."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"events": {"read": 200}, "recorded": 1, "repeated": 214, "problems": [], "next": None}]
        }
    )

    events: dict[str, int]
    recorded: int
    repeated: int
    problems: list[StuckEvent]
    next: str | None


@router.post("/{name}/replay", summary="Read kept events again", responses=refusals(HTTPStatus.NOT_FOUND))
async def replay_events(asked: Replaying, name: Name, parts: Its, person: Administrator) -> Replayed:
    """Reads kept events with the present mapping. Facts told before are repeated and change nothing, new ones are
    recorded, none is lost; one that contradicts what is on record is listed and stands in the queue."""
    source = source_of(parts, name)

    async def noted(connection: AsyncConnection, at: datetime) -> None:
        said = {"event": asked.event, "since": None if asked.since is None else asked.since.isoformat()}
        await audit.note(connection, actor=person.name, act="source.replayed", subject=name, at=at, **said)

    await acting(parts, person, noted)
    events = await _events(parts, source, asked)
    became = await source_events.replay(parts, source, events, datetime.now(UTC)) if events else ()
    await source_events.resolve(parts)
    received = {each.id: each.received_at for each in events}
    facts = sum(len(each.facts) for each in became)
    recorded = sum(each.recorded for each in became)
    last = events[-1] if len(events) == _PAGE and asked.event is None else None
    return Replayed(
        events=dict(sorted(Counter(each.outcome.value for each in became).items())),
        recorded=recorded,
        repeated=facts - recorded,
        problems=[
            StuckEvent(event=each.event_id, type=each.type, why=each.why, received_at=received[each.id])
            for each in became
            if each.outcome is Outcome.UNREADABLE
        ],
        next=None if last is None else f"{last.received_at.isoformat()} {last.id}",
    )


async def _events(parts: Parts, source: ConnectedSource, asked: Replaying) -> tuple[stored.StoredEvent, ...]:
    async with parts.database.reading() as connection:
        if asked.event is None:
            return await stored.since(connection, source.name, asked.since, _place(asked.after), _PAGE)
        if event_id_problem(asked.event) is not None:
            raise RequestInvalid("is no id of an event", "event")
        found = await stored.by_name(connection, source.name, asked.event)
    if found is None:
        raise NotFound("event of this source", asked.event)
    return (found,)


def _place(after: str | None) -> tuple[datetime, UUID] | None:
    if after is None:
        return None
    at, _, number = after.partition(" ")
    try:
        place = datetime.fromisoformat(at), UUID(number)
    except ValueError:
        raise RequestInvalid("is no place that a page told", "after") from None
    if place[0].tzinfo is None:
        raise RequestInvalid("is no place that a page told", "after")
    return place
