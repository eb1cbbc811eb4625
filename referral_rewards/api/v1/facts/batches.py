"""Batches: intake of files of facts of any length, and the progress of the referrals that a file affects."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import FactTeller, Its, Parts
from referral_rewards.api.kept import LinesKept, ProblemsKept
from referral_rewards.api.openapi import refusals
from referral_rewards.domain.errors import BadInput, NotAllowed, NotFound, RequestInvalid
from referral_rewards.domain.facts.intake_warnings import WarningKind
from referral_rewards.domain.facts.json_array import json_array
from referral_rewards.domain.facts.outcomes import Outcome
from referral_rewards.domain.people.authority import Scope
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.file_intake import FileIntake, Tally
from referral_rewards.register.facts.streams import READERS, FactsAside, FactStream, Incoming
from referral_rewards.register.people import users
from referral_rewards.register.people.users import User
from referral_rewards.reporting.referrals import settling

router = APIRouter(prefix="/v1/batches", tags=["facts"])
_log = structlog.get_logger("api")

_POLL_SECONDS: Final = 0.2
_WAIT_SECONDS_MAX: Final = 30


_TAKEN: Final[dict[str, Any]] = {
    "batch": "0193a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b",
    "recorded": 3,
    "repeated": 0,
    "refused": 1,
    "conflicts": 0,
    "parked": {},
    "warnings": [
        {
            "kind": "unreadable_phone",
            "where": "data.referee.phone",
            "what": "names no country, and no region is set for its source: it matches no order; write it as "
            "+14165550173, or set REFERRALS_REGION or REFERRALS_REGIONS",
            "count": 2,
            "lines": [1, 2],
        }
    ],
    "problems": [{"line": 4, "where": "data.score", "what": "must be 1 to 5"}],
    "lines": [{"first": 1, "last": 3, "outcome": "recorded"}, {"first": 4, "last": 4, "outcome": "refused"}],
}


class LineProblem(BaseModel):
    """What is wrong with a line of the file."""

    line: int
    where: str
    what: str


class LinesWarning(BaseModel):
    """What lines of the file say in vain. They are recorded all the same, and have less effect than their sender may
    think. ``lines`` are the numbers of the first of them."""

    kind: WarningKind
    where: str
    what: str
    count: int
    lines: list[int]


class LinesOutcome(BaseModel):
    """What became of the lines from ``first`` to ``last``; of empty ones nothing did."""

    first: int
    last: int
    outcome: Outcome


class BatchTaken(BaseModel):
    """The outcome of a file's lines. ``parked`` counts its referrals that wait for another fact, by what is missing;
    ``warnings`` has equal ones together, of each kind at most ten different ones; ``problems`` lists every line that is
    not valid, or contradicts an earlier fact; ``lines`` says what became of each."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TAKEN]})

    batch: UUID
    recorded: int
    repeated: int
    refused: int
    conflicts: int
    parked: dict[str, int]
    warnings: list[LinesWarning]
    problems: list[LineProblem]
    lines: list[LinesOutcome]


class BatchStanding(BaseModel):
    """The progress of the referrals that a batch affects. ``moving`` counts those that are still being processed; once
    it is 0 the batch is settled: the referrals wait only for time or a person."""

    batch: UUID
    referrals: int
    moving: int
    parked: dict[str, int]


_LINES: Final = {"type": "string", "description": "One CloudEvent a line."}
_EVENTS: Final = {"type": "array", "description": "CloudEvents; `line` is then the place of one, from 1.", "items": {}}
_ROWS: Final = {"type": "string", "description": "Columns `id, source, type, time`, then `data.*`, nested by dots."}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {"schema": _LINES},
            "application/jsonl": {"schema": _LINES},
            "application/json": {"schema": _EVENTS},
            "text/csv": {"schema": _ROWS},
        },
    }
}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_BODY,
    summary="Tell us of a file of facts",
    response_model=None,
    responses={202: {"model": BatchTaken}, **refusals(HTTPStatus.CONFLICT)},
)
async def record_batch(
    request: Request,
    parts: Its,
    user: FactTeller,
    sha256: Annotated[
        str | None,
        Query(
            pattern="^[0-9a-f]{64}$", description="Hash of the whole body; an upload sent again is recognised by it."
        ),
    ] = None,
    strict: Annotated[bool, Query(description="Store all of the file or nothing; up to 100 MB.")] = False,
) -> StreamingResponse:
    """Stores the facts while they are received, some hundred lines per transaction; responds after the last commit.

    After an interruption send the same file again: known facts change nothing. Valid lines are stored even if others
    are not valid: a line that the token may not tell is none of them. With `strict` one bad line gives 422 and nothing
    of the file is stored. All facts of a file count as received together: with `sha256` the referrals that it affects
    are woken once the whole file is here, even after several attempts.

    `warnings` tell what lines say in vain, as `POST /v1/events` does for each event; equal ones are counted together.
    """
    reader = READERS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if reader is None:
        raise RequestInvalid(f"is none of {', '.join(READERS)}", "content-type")
    problems, lines = ProblemsKept(), LinesKept()
    intake = FileIntake(
        parts.database,
        parts.intake,
        tell=problems.add,
        became=lines.add,
        guard=_still_allowed(user),
        teller=user.teller,
    )
    try:
        if strict:
            aside = FactsAside(reader)
            try:
                await aside.fill(request.stream(), sha256)
                tally = await intake.take_whole(aside)
            finally:
                aside.close()
            if tally.refused or tally.conflicts:
                _count(parts, user, Tally(refused=tally.refused, conflicts=tally.conflicts))
                raise BadInput(problems.as_input("event" if reader is json_array else "line"))
        else:
            incoming = Incoming(request.stream())
            try:
                tally = await intake.take(FactStream(incoming, reader, sha256))
            finally:
                incoming.stop()
        assert tally.batch is not None
        async with parts.database.reading() as connection:
            parked = await settling.parked(connection, tally.batch)
    except BaseException:
        problems.close()
        lines.close()
        raise
    _count(parts, user, tally)
    return StreamingResponse(
        _answer(tally, parked, problems, lines), HTTPStatus.ACCEPTED, media_type="application/json"
    )


@router.get("/{batch}", summary="Whether a batch is settled")
async def show_batch(
    batch: UUID,
    parts: Its,
    user: FactTeller,
    wait: Annotated[
        int,
        Query(
            ge=0,
            le=_WAIT_SECONDS_MAX,
            description="Longest time to wait for it, in seconds; then the answer shows its present state.",
        ),
    ] = 0,
) -> BatchStanding:
    """Returns how many referrals the batch affects, and how many of them are still being processed."""
    async with parts.database.reading() as connection:
        if not await file_intake.is_known(connection, batch):
            raise NotFound("batch", str(batch))
        touched = await settling.touched(connection, batch)
        parked = await settling.parked(connection, batch)
    moving = await _moving(parts, touched, wait)
    return BatchStanding(batch=batch, referrals=len(touched), moving=moving, parked=parked)


async def _moving(parts: Parts, touched: list[str], wait: int) -> int:
    """Wait until no referral is still being processed or the seconds are over; return how many still are."""
    until, asked = asyncio.get_running_loop().time() + wait, touched
    while True:
        async with parts.database.reading() as connection:
            moving = await settling.moving(connection, asked)
        if not moving and len(asked) == len(touched):
            return 0
        if moving and asyncio.get_running_loop().time() >= until:
            return len(moving)
        # Settled ones are checked again at the end: another referral's claim may have moved one.
        asked = moving or touched
        if moving:
            await asyncio.sleep(_POLL_SECONDS)


def _still_allowed(user: User) -> Any:
    """Check in each transaction that the user may still send the same facts: receiving a file may take long."""

    async def ask(connection: AsyncConnection) -> None:
        now = await users.with_proof(connection, user.proof, datetime.now(UTC))
        now.need_scope(Scope.EVENTS_WRITE)
        if now.tells != user.tells:
            raise NotAllowed("what this token may tell was changed meanwhile; send the file again")

    return ask


async def _answer(tally: Tally, parked: dict[str, int], problems: ProblemsKept, lines: LinesKept) -> AsyncIterator[str]:
    """Yield the JSON of a `BatchTaken` in pieces."""
    said = {
        "batch": str(tally.batch),
        **{name: getattr(tally, name) for name in ("recorded", "repeated", "refused", "conflicts")},
        "parked": parked,
        "warnings": [asdict(group) for group in tally.warnings],
    }
    try:
        yield json.dumps(said)[:-1]
        for name, kept in (("problems", problems), ("lines", lines)):
            yield f', "{name}": '
            for piece in kept.listed():
                yield piece
        yield "}"
    finally:
        problems.close()
        lines.close()


def _count(parts: Parts, user: User, tally: Tally) -> None:
    counts = {"recorded": tally.recorded, "repeated": tally.repeated, "conflicting": tally.conflicts}
    for outcome, count in {**counts, "refused": tally.refused}.items():
        parts.metrics.facts.labels(outcome).inc(count)
    _log.info("facts_recorded", by=user.name, refused=tally.refused, batch=str(tally.batch), **counts)
