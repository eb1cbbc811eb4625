"""Files of facts come in, of any length; and whether the referrals that one touched stand where it leads."""

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

from referral_rewards.api.dependencies import Its, Parts, Teller
from referral_rewards.api.openapi import refusals
from referral_rewards.domain.errors import BadInput, NotFound, Problem, RequestInvalid
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

#: How many bytes of problems are held in memory; more of them go to a file until the answer is sent.
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
    """What became of a file's lines. ``parked`` counts the referrals of it that wait for something else to be told
    first, by what; ``problems`` has every line that could not be taken, or contradicts what was told before."""

    batch: UUID
    recorded: int
    repeated: int
    refused: int
    conflicts: int
    parked: dict[str, int]
    problems: list[LineProblem]


class BatchStanding(BaseModel):
    """Where the referrals stand that a batch touched. ``moving`` counts those that something still happens to without
    anybody's help; once it is 0 the batch is settled: they wait for nothing but time or a person."""

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
    user: Teller,
    sha256: Annotated[
        str | None, Query(pattern="^[0-9a-f]{64}$", description="Of the whole body, by which it is found again.")
    ] = None,
    strict: Annotated[bool, Query(description="All of the file or nothing of it; up to 100 MB.")] = False,
) -> StreamingResponse:
    """Stores the facts while they come in, some hundred lines a transaction, and answers once the last is committed.

    Whoever is interrupted sends the same file again: what is known changes nothing. Good lines land whatever stands
    beside them; with `strict` one bad line is 422, and nothing of the file is stored. All of a file counts as having
    arrived together: with `sha256` the referrals that it touches are woken once all of it is here, however often it
    takes.
    """
    reader = READERS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if reader is None:
        raise RequestInvalid(f"is none of {', '.join(READERS)}", "content-type")
    problems = _Problems()
    intake = FileIntake(parts.database, parts.intake, tell=problems.add, guard=_still_allowed(user))
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
        async with parts.database.transaction() as connection:
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
    user: Teller,
    wait: Annotated[
        int, Query(ge=0, le=_WAIT_SECONDS_MAX, description="Seconds to wait for it, at most; then it answers as it is.")
    ] = 0,
) -> BatchStanding:
    """How many referrals it touched, and how many of them are still being worked on."""
    async with parts.database.transaction() as connection:
        if not await file_intake.is_known(connection, batch):
            raise NotFound("batch", str(batch))
        touched = await settling.touched(connection, batch)
        parked = await settling.parked(connection, batch)
    moving = await _moving(parts, touched, wait)
    return BatchStanding(batch=batch, referrals=len(touched), moving=moving, parked=parked)


async def _moving(parts: Parts, touched: list[str], wait: int) -> int:
    """How many still move once none does, or once that many seconds are over."""
    until, asked = asyncio.get_running_loop().time() + wait, touched
    while True:
        async with parts.database.transaction() as connection:
            moving = await settling.moving(connection, asked)
        if not moving and len(asked) == len(touched):
            return 0
        if moving and asyncio.get_running_loop().time() >= until:
            return len(moving)
        # Those at rest are asked for again at the end: another referral's claim may have moved one.
        asked = moving or touched
        if moving:
            await asyncio.sleep(_POLL_SECONDS)


def _still_allowed(user: User) -> Any:
    """Asks in each transaction whether the user may still tell facts: a file may take long to come in."""

    async def ask(connection: AsyncConnection) -> None:
        now = await users.with_proof(connection, user.proof, datetime.now(UTC))
        now.need_scope(Scope.EVENTS_WRITE)

    return ask


class _Problems:
    """The problems of a file's lines as they are found, however many; those beyond some are kept in a file."""

    def __init__(self) -> None:
        self._kept: IO[str] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 (`close` closes it)
            max_size=_PROBLEMS_IN_MEMORY_BYTES, mode="w+", encoding="utf-8", errors="backslashreplace"
        )

    def add(self, line: int, problem: Problem) -> None:
        self._kept.write(json.dumps({"line": line, **problem._asdict()}) + "\n")

    def lines(self) -> Any:
        """Each as JSON, in the order in which they were found."""
        self._kept.seek(0)
        for line in self._kept:
            yield line.rstrip("\n")

    def as_input(self, counted: str) -> list[Problem]:
        """As problems of an input, which name the line, or what else is counted."""
        found = map(json.loads, self.lines())
        return [
            Problem(": ".join(filter(None, (f"{counted} {each['line']}", each["where"]))), each["what"])
            for each in found
        ]

    def close(self) -> None:
        self._kept.close()


async def _answer(tally: Tally, parked: dict[str, int], problems: _Problems) -> AsyncIterator[str]:
    """A `BatchTaken` in pieces."""
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
