"""Batches: intake of files of facts of any length, and the progress of the referrals that a file affects."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import IO, Annotated, Any, Final, Literal
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import FactTeller, Its, Parts
from referral_rewards.api.openapi import refusals
from referral_rewards.domain.errors import BadInput, NotAllowed, NotFound, Problem, RequestInvalid
from referral_rewards.domain.facts.json_array import json_array
from referral_rewards.domain.people.authority import Scope
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.file_intake import FileIntake, Tally
from referral_rewards.register.facts.streams import READERS, FactsAside, FactStream, Incoming
from referral_rewards.register.people import users
from referral_rewards.register.people.users import User
from referral_rewards.reporting.referrals import settling

router = APIRouter(prefix="/v1/batches", tags=["facts"])
_log = structlog.get_logger("api")

#: How many bytes of problems are held in memory; further ones go to a file until the response is sent.
_PROBLEMS_IN_MEMORY_BYTES: Final = 1_000_000
_PROBLEMS_AT_ONCE: Final = 200
_POLL_SECONDS: Final = 0.2
_WAIT_SECONDS_MAX: Final = 30


class LineProblem(BaseModel):
    """What is wrong with a line of the file."""

    line: int
    where: str
    what: str


class BatchTaken(BaseModel):
    """The outcome of a file's lines. ``parked`` counts its referrals that wait for another fact, by what is missing;
    ``problems`` lists every line that is not valid, or contradicts an earlier fact."""

    batch: UUID
    recorded: int
    repeated: int
    refused: int
    conflicts: int
    parked: dict[str, int]
    problems: list[LineProblem]


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
    """
    reader = READERS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if reader is None:
        raise RequestInvalid(f"is none of {', '.join(READERS)}", "content-type")
    problems = _Problems()
    guard = _still_allowed(user)
    intake = FileIntake(parts.database, parts.intake, tell=problems.add, guard=guard, teller=user.teller)
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
        raise
    _count(parts, user, tally)
    return StreamingResponse(_answer(tally, parked, problems), HTTPStatus.ACCEPTED, media_type="application/json")


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


class _Problems:
    """The problems of a file's lines, in any number; beyond a limit they are kept in a file."""

    def __init__(self) -> None:
        self._kept: IO[str] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 (`close` closes it)
            max_size=_PROBLEMS_IN_MEMORY_BYTES, mode="w+", encoding="utf-8", errors="backslashreplace"
        )

    def add(self, line: int, problem: Problem) -> None:
        self._kept.write(json.dumps({"line": line, **problem._asdict()}) + "\n")

    def lines(self) -> Any:
        """Yield each problem as JSON, in the order in which they were found."""
        self._kept.seek(0)
        for line in self._kept:
            yield line.rstrip("\n")

    def as_input(self, counted: str) -> list[Problem]:
        """As problems of an input, which name the line, or what else is counted."""
        found = []
        for each in map(json.loads, self.lines()):
            place = ": ".join(filter(None, (f"{counted} {each['line']}", each["where"])))
            found.append(Problem(place, each["what"]))
        return found

    def close(self) -> None:
        self._kept.close()


async def _answer(tally: Tally, parked: dict[str, int], problems: _Problems) -> AsyncIterator[str]:
    """Yield the JSON of a `BatchTaken` in pieces."""
    said = {
        "batch": str(tally.batch),
        **{name: getattr(tally, name) for name in ("recorded", "repeated", "refused", "conflicts")},
        "parked": parked,
    }
    try:
        yield json.dumps(said)[:-1] + ', "problems": ['
        held: list[str] = []
        between: Literal["", ","] = ""
        for line in problems.lines():
            held.append(line)
            if len(held) == _PROBLEMS_AT_ONCE:
                yield between + ",".join(held)
                held, between = [], ","
        yield (between if held else "") + ",".join(held) + "]}"
    finally:
        problems.close()


def _count(parts: Parts, user: User, tally: Tally) -> None:
    counts = {"recorded": tally.recorded, "repeated": tally.repeated, "conflicting": tally.conflicts}
    for outcome, count in {**counts, "refused": tally.refused}.items():
        parts.metrics.facts.labels(outcome).inc(count)
    _log.info("facts_recorded", by=user.name, refused=tally.refused, batch=str(tally.batch), **counts)
