"""Simulations: replay a program's past under other terms. Writes nothing.

A replay takes long. It runs in its own thread on its own connection, one at a time in a process, and ends when the
client disconnects.
"""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from datetime import time as clock
from typing import Any, Final

import structlog
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from models.session import Database
from referral_rewards.api.dependencies import Its, Parts, Person
from referral_rewards.api.v1.fields import Day, NamedInPath
from referral_rewards.api.v1.programs.programs import TermsText, of_program
from referral_rewards.domain.errors import NotFound, RequestInvalid
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.register import programs
from referral_rewards.reporting.simulation.comparison import compare
from referral_rewards.reporting.simulation.form import simulation_form
from referral_rewards.reporting.simulation.picture import picture
from referral_rewards.reporting.simulation.simulating import Proposal, simulate

router = APIRouter(prefix="/v1/programs", tags=["programs"])
_log = structlog.get_logger("api")

#: After this time a replay is cancelled; the user should choose a shorter period.
SECONDS_MAX: Final = 600
_TOLD_EVERY_SECONDS: Final = 0.2


class NewSimulation(BaseModel):
    """Other terms, and the referrals to replay under them: those that began on ``since`` or later and before ``until``,
    days on the program's clock.

    ``approve_flagged`` approves claims that need a review, unless the rules recommend a denial; ``changed`` lists each
    referral whose result differs; ``picture`` draws the flows.
    """

    model_config = ConfigDict(extra="forbid")

    terms: TermsText
    since: Day | None = None
    until: Day | None = None
    approve_flagged: bool = False
    changed: bool = False
    picture: bool = False


@router.post(
    "/{program:path}/simulations",
    summary="Replay a program's past under other terms",
    response_class=StreamingResponse,
    responses={200: {"description": "A JSON object a line.", "content": {"application/x-ndjson": {}}}},
)
async def simulate_program(program: NamedInPath, new: NewSimulation, parts: Its, person: Person) -> StreamingResponse:
    """Answers with lines while it computes: `{"progress": {"what", "done", "total"}}`, and at the end either
    `{"simulation": …, "picture": "<svg…>" or null}` or `{"problem": "…"}`. One is computed at a time."""
    terms = of_program(new.terms, program)
    if new.since is not None and new.until is not None and new.until <= new.since:
        told = f"{new.until} is not after {new.since}: no referral can have begun between them"
        raise RequestInvalid(told, "until")
    async with parts.database.reading() as connection:
        if not await programs.versions(connection, program):
            raise NotFound("program", program)
    proposal = Proposal(
        terms=terms,
        now=datetime.now(UTC),
        since=_midnight(new.since, terms),
        until=_midnight(new.until, terms),
        approve_flagged=new.approve_flagged,
    )
    return StreamingResponse(_lines(parts, proposal, new), media_type="application/x-ndjson")


def _midnight(day: date | None, terms: Terms) -> datetime | None:
    """Return when the day begins in the program's time zone."""
    return None if day is None else datetime.combine(day, clock(), terms.zone).astimezone(UTC)


async def _lines(parts: Parts, proposal: Proposal, new: NewSimulation) -> AsyncIterator[str]:
    if parts.simulating.locked():
        yield _line(progress={"what": "waiting for another simulation", "done": 0, "total": 0})
    async with parts.simulating:
        replay = _Replay(parts.database, proposal, new)
        own_thread = ThreadPoolExecutor(max_workers=1)
        coming = asyncio.get_running_loop().run_in_executor(own_thread, replay.run)
        try:
            while not coming.done():
                await asyncio.wait([coming], timeout=_TOLD_EVERY_SECONDS)
                for told in replay.news():
                    yield _line(progress=told)
            yield await coming
        except _GivenUp:
            late = f"the replay takes longer than {SECONDS_MAX // 60} minutes; ask for a shorter period"
            yield _line(problem=late)
        except Exception as error:
            # The response has begun: its status can't change any more.
            _log.error("simulation_failed", error=type(error).__name__)
            yield _line(problem=f"the replay failed: {type(error).__name__}")
        finally:
            replay.stop()
            own_thread.shutdown(wait=False)


class _GivenUp(Exception):
    """The client disconnected, or the replay took too long."""


class _Replay:
    """One simulation, computed in the thread that calls `run`."""

    def __init__(self, database: Database, proposal: Proposal, new: NewSimulation) -> None:
        self._database, self._proposal, self._new = database, proposal, new
        self._stopped, self._until = threading.Event(), time.monotonic() + SECONDS_MAX
        self._done: dict[str, dict[str, Any]] = {}
        self._told: dict[str, int] = {}

    def run(self) -> str:
        """Run the replay and return the last line of the response."""
        simulation = asyncio.run(self._simulate())
        drawn = picture(self._proposal, compare(simulation.compared)) if self._new.picture else None
        return _line(simulation=simulation_form(simulation, changed=self._new.changed).as_json(), picture=drawn)

    def stop(self) -> None:
        """Make the replay end at its next step."""
        self._stopped.set()

    def news(self) -> list[dict[str, Any]]:
        """Return the progress that has not been reported yet."""
        found = [dict(each) for each in list(self._done.values()) if self._told.get(each["what"]) != each["done"]]
        self._told |= {each["what"]: each["done"] for each in found}
        return found

    async def _simulate(self) -> Any:
        own = self._database.apart()
        try:
            async with own.reading() as connection:
                return await simulate(connection, self._proposal, self._progress)
        finally:
            await own.close()

    def _progress(self, what: str, more: int, total: int) -> None:
        if self._stopped.is_set() or time.monotonic() > self._until:
            raise _GivenUp
        done = self._done.get(what, {"done": 0})["done"] + more
        self._done[what] = {"what": what, "done": done, "total": total}


def _line(**said: Any) -> str:
    return json.dumps(said, ensure_ascii=False) + "\n"
