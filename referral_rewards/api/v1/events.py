"""Intake of facts: one CloudEvent, or an array of them that belong together."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import FactTeller, Its, Parts
from referral_rewards.api.openapi import refusals
from referral_rewards.domain.errors import BadInput, FactConflict, Problem, RequestInvalid
from referral_rewards.domain.facts.cloud_events import BINARY, of_headers
from referral_rewards.domain.facts.events import Event, parse_event, too_far_ahead
from referral_rewards.domain.facts.jsonl import decoded
from referral_rewards.domain.facts.rights import Rights, Teller
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Prepared, Recorded

router = APIRouter(prefix="/v1", tags=["facts"])
_log = structlog.get_logger("api")

EVENTS_MAX: Final = 1000


class EventProblem(BaseModel):
    """What is wrong with one event; ``index`` is its place in the array."""

    index: int
    where: str
    what: str


class Acknowledged(BaseModel):
    """The outcome of the events. Those recorded or repeated are stored; the others changed nothing."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"recorded": 2, "repeated": 0, "conflicts": 0, "problems": []}]}
    )

    recorded: int
    repeated: int
    conflicts: int
    problems: list[EventProblem]


_CLOUD_EVENT: Final = {
    "type": "object",
    "description": "A CloudEvent 1.0. (source, id) is its identity; time, with an offset, is when it happened.",
    "required": ["specversion", "id", "source", "type", "time"],
    "oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
    "properties": {
        "specversion": {"const": "1.0"},
        **{name: {"type": "string"} for name in ("id", "source", "type")},
        "time": {"type": "string", "format": "date-time"},
        "data": {"type": "object"},
        "data_base64": {"type": "string", "description": "The same as JSON in base64, in place of `data`."},
    },
}
_SENT: Final = {
    "specversion": "1.0",
    "id": "db-2",
    "source": "acme/site",
    "type": "referral.sent",
    "time": "2026-06-01T14:00:00Z",
    "data": {
        "referral": "db1",
        "program": "acme-friends",
        "referrer": "dexter",
        "channel": "email",
        "referee": {"email": "brie1@example.com"},
    },
}
_BOUGHT: Final = {
    "specversion": "1.0",
    "id": "db-4",
    "source": "acme/shop",
    "type": "conversion.recorded",
    "time": "2026-07-10T14:00:00Z",
    "data": {
        "order": "o1",
        "kind": "purchase",
        "customer": {"customer": "c-brie-1", "email": "brie1@example.com"},
        "amount": "80.00",
        "currency": "USD",
        "new_customer": True,
    },
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_CLOUD_EVENT, {"type": "array", "maxItems": EVENTS_MAX, "items": _CLOUD_EVENT}]},
                "examples": {
                    "one": {"summary": "Dexter invites Brie by email", "value": _SENT},
                    "batch": {"summary": "And she buys", "value": [_SENT, _BOUGHT]},
                },
            }
        },
    }
}


@router.post(
    "/events",
    status_code=202,
    openapi_extra=_BODY,
    summary="Tell us of facts",
    responses=refusals(HTTPStatus.CONFLICT),
)
async def record_events(request: Request, parts: Its, user: FactTeller) -> Acknowledged:
    """Responds once all acknowledged events are committed. The same event again is acknowledged and changes nothing.
    All modes of the CloudEvents HTTP binding are taken: structured, batch, and binary with the attributes as `ce-`
    headers.

    A token tells facts of its own sources and types; another one is not valid, and its problem says what may be told.
    A single event that is not valid gives 422; one that contradicts an earlier event with its (source, id) gives 409.
    Of an array the valid ones are stored, and the others are listed with their index under `problems`; 422 only if none
    is valid. An array is one batch: its facts count as received together, with none to follow.
    """
    body = await request.body()
    document = _decoded(body)
    if BINARY in request.headers:
        document = of_headers(request.headers, document)
    documents = document if isinstance(document, list) else [document]
    if not 1 <= len(documents) <= EVENTS_MAX:
        raise RequestInvalid(f"an array holds 1 to {EVENTS_MAX} events, this one {len(documents)}")
    now = datetime.now(UTC)
    good, problems = _read(documents, now, user.tells)
    batch = hashlib.sha256(body).hexdigest() if isinstance(document, list) else None
    if not good:
        parts.metrics.facts.labels("refused").inc(len(documents))
        raise BadInput([_placed(each, batch is not None) for each in problems])
    prepared = parts.intake.prepare([event for _, event in good])  # before the transaction, which holds locks
    recorded = await parts.database.write(_store, parts, prepared, batch, now, user.teller)
    places = {id(event): index for index, event in good}
    for event in recorded.conflicts:
        if batch is None:
            raise FactConflict(event.source, event.event_id)
        told = str(FactConflict(event.source, event.event_id))
        problems.append(EventProblem(index=places[id(event)], where="", what=told))
    _count(parts, user.name, recorded, refused=len(documents) - len(good))
    return Acknowledged(
        recorded=recorded.new,
        repeated=recorded.repeated,
        conflicts=len(recorded.conflicts),
        problems=sorted(problems, key=lambda each: each.index),
    )


def _decoded(body: bytes) -> Any:
    try:
        return decoded(body)
    except UnicodeDecodeError:
        raise RequestInvalid("the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise RequestInvalid("the body is not JSON") from None


def _read(documents: Sequence[Any], now: datetime, may: Rights) -> tuple[list[tuple[int, Event]], list[EventProblem]]:
    good, problems = [], []
    for index, document in enumerate(documents):
        try:
            event = parse_event(document)
            if wrong := too_far_ahead(event, now) or may.objection(event.source, event.type):
                raise BadInput([wrong])
        except BadInput as error:
            problems += [EventProblem(index=index, where=each.where, what=each.what) for each in error.problems]
        else:
            good.append((index, event))
    return good, problems


def _placed(problem: EventProblem, in_array: bool) -> Problem:
    where = ".".join(filter(None, (str(problem.index), problem.where))) if in_array else problem.where
    return Problem(where, problem.what)


async def _store(
    connection: AsyncConnection, parts: Parts, facts: Prepared, batch: str | None, now: datetime, teller: Teller
) -> Recorded:
    if batch is None:
        return await parts.intake.record(connection, facts, received_at=now, teller=teller)
    return await _store_batch(connection, parts, facts, batch, now, teller)


async def _store_batch(
    connection: AsyncConnection, parts: Parts, facts: Prepared, name: str, now: datetime, teller: Teller
) -> Recorded:
    batch = await file_intake.open_batch(connection, name, now)
    recorded = await parts.intake.record(connection, facts, received_at=now, batch=batch, teller=teller)
    await file_intake.finish(connection, batch, now)
    return recorded


def _count(parts: Parts, user: str, recorded: Recorded, *, refused: int) -> None:
    counts = {"recorded": recorded.new, "repeated": recorded.repeated, "conflicting": len(recorded.conflicts)}
    for outcome, count in {**counts, "refused": refused}.items():
        parts.metrics.facts.labels(outcome).inc(count)
    _log.info("facts_recorded", by=user, refused=refused, **counts)
