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
from referral_rewards.domain.facts.intake_warnings import WarningKind
from referral_rewards.domain.facts.jsonl import decoded
from referral_rewards.domain.facts.keys import referral_of
from referral_rewards.domain.facts.outcomes import Outcome
from referral_rewards.domain.facts.rights import Rights, Teller
from referral_rewards.domain.people.authority import Scope
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Prepared, Recorded

router = APIRouter(prefix="/v1", tags=["facts"])
_log = structlog.get_logger("api")

EVENTS_MAX: Final = 1000


_ACKNOWLEDGED: Final[dict[str, Any]] = {
    "recorded": 2,
    "repeated": 1,
    "conflicts": 0,
    "problems": [
        {
            "index": 3,
            "where": "data.outcome",
            "what": "must be 'won', 'inquiry_closed', 'lost', 'refunded' or 'prevented'; did you mean 'refunded'?",
        }
    ],
    "facts": [
        {"index": 0, "outcome": "parked"},
        {"index": 1, "outcome": "recorded"},
        {"index": 2, "outcome": "repeated"},
        {"index": 3, "outcome": "refused"},
    ],
    "warnings": [
        {
            "index": 0,
            "kind": "unknown_program",
            "where": "data.program",
            "what": "'acme-freinds' is not published; the fact waits until it is; did you mean 'acme-friends'?",
        },
        {
            "index": 1,
            "kind": "unknown_field",
            "where": "data.referee.emial",
            "what": "is no field of a person and changes nothing; did you mean 'email'?",
        },
    ],
}


class EventProblem(BaseModel):
    """What is wrong with one event; ``index`` is its place in the array."""

    index: int
    where: str
    what: str


class EventOutcome(BaseModel):
    """What became of one event. ``parked``: recorded, and it waits until its program is published. ``referral``, for a
    token that may read where referrals stand, is the one that the event names or begins."""

    index: int
    outcome: Outcome
    referral: str | None = None


class EventWarning(BaseModel):
    """What an event says in vain. It is recorded all the same, and has less effect than its sender may think."""

    index: int
    kind: WarningKind
    where: str
    what: str


class Acknowledged(BaseModel):
    """The outcome of the events. Those recorded, parked or repeated are stored; the others changed nothing.

    ``recorded`` counts the parked ones too. ``facts`` has one entry for each event, in their order.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_ACKNOWLEDGED]})

    recorded: int
    repeated: int
    conflicts: int
    problems: list[EventProblem]
    facts: list[EventOutcome]
    warnings: list[EventWarning]


_NAME: Final = "1 to 500 characters that can be seen, and nobody's email address or phone number."
_CLOUD_EVENT: Final = {
    "type": "object",
    "description": "A CloudEvent 1.0. (source, id) is its identity; time, with an offset, is when it happened.",
    "required": ["specversion", "id", "source", "type", "time"],
    "oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": _NAME},
        "source": {"type": "string", "description": f"The system that tells of it. {_NAME}"},
        "type": {"type": "string"},
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
    response_model_exclude_unset=True,
)
async def record_events(request: Request, parts: Its, user: FactTeller) -> Acknowledged:
    """Responds once all acknowledged events are committed. The same event again is acknowledged and changes nothing.
    All modes of the CloudEvents HTTP binding are taken: structured, batch, and binary with the attributes as `ce-`
    headers.

    A token tells facts of its own sources and types; another one is not valid, and its problem says what may be told.
    A single event that is not valid gives 422; one that contradicts an earlier event with its (source, id) gives 409.
    Of an array the valid ones are stored, and the others are listed with their index under `problems`; 422 only if none
    is valid. An array is one batch: its facts count as received together, with none to follow.

    `warnings` tell what an event says in vain: an unpublished program (`unknown_program`), a phone number that can't be
    read (`unreadable_phone`), a field that its type does not have (`unknown_field`), a kind of reversal or a scope that
    we do not know (`unknown_word`), an amount that takes nothing by itself (`amount_without_effect`).
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
    _count(parts, user.name, recorded, refused=len(documents) - len(good))
    if batch is None and recorded.conflicts:
        raise FactConflict(recorded.conflicts[0].source, recorded.conflicts[0].event_id)
    told = _acknowledged(recorded, [index for index, _ in good], problems, len(documents))
    return _with_referrals(told, good) if Scope.REFERRALS_READ in user.scopes else told


def _acknowledged(
    recorded: Recorded, places: Sequence[int], refused: Sequence[EventProblem], told: int
) -> Acknowledged:
    """Return the answer to all that was told; ``places`` says where in it the recorded events stood."""
    became = dict.fromkeys(range(told), Outcome.REFUSED) | dict(zip(places, recorded.outcomes, strict=True))
    conflicts = [
        EventProblem(index=place, where="", what=str(FactConflict(event.source, event.event_id)))
        for place, event in zip(places, recorded.events, strict=True)
        if became[place] is Outcome.CONFLICT
    ]
    return Acknowledged(
        recorded=recorded.new,
        repeated=recorded.repeated,
        conflicts=len(conflicts),
        problems=sorted([*refused, *conflicts], key=lambda each: each.index),
        facts=[EventOutcome(index=index, outcome=outcome) for index, outcome in became.items()],
        warnings=[EventWarning(index=places[place], **each._asdict()) for place, each in recorded.warnings],
    )


def _with_referrals(told: Acknowledged, good: Sequence[tuple[int, Event]]) -> Acknowledged:
    """Return the answer with the referral that each event names or begins; events about none have null."""
    named = {index: referral_of(event) for index, event in good}
    facts = [EventOutcome(**{**each.model_dump(), "referral": named.get(each.index)}) for each in told.facts]
    return told.model_copy(update={"facts": facts})


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
    _log.info("facts_recorded", by=user, refused=refused, warnings=len(recorded.warnings), **counts)
