"""The past part: ingests a file with the facts of twelve months at once, then people work through the queue."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.session import Database
from referral_rewards.domain.errors import Problem
from referral_rewards.local.demo.api import Api
from referral_rewards.local.demo.approvers import decide
from referral_rewards.local.demo.output import Progress
from referral_rewards.local.demo.script import Expectation, Script
from referral_rewards.register.facts.file_intake import FileIntake
from referral_rewards.register.facts.files import FactFile
from referral_rewards.register.facts.intake import Intake
from referral_rewards.reporting.referrals import settling as at_rest

_TOLD_EVERY: Final = 10


async def take_in(database: Database, pepper: bytes, script: Script, progress: Progress) -> None:
    """Do what `referrals ingest FILE --wait` does: store all facts, until all referrals wait for a person or a
    timer."""

    def tell(line: int, problem: Problem) -> None:
        progress.say(f"{script.past_file.name} line {line}: {problem}")

    tally = await FileIntake(database, Intake(pepper), tell=tell).take(FactFile.at(script.past_file))
    assert tally.batch is not None
    async with database.reading() as connection:
        touched = await at_rest.touched(connection, tally.batch)
    progress.say(f"{tally.recorded} facts of the past are recorded; {len(touched)} referrals live through a year")
    await rest(database, touched, progress)


async def work_through(api: Api, expected: Mapping[str, Expectation], progress: Progress) -> dict[str, tuple[Any, str]]:
    """Decide in the order of the script. Return, for each referral, its state just before and the decision."""
    outcomes = {}
    for referral, expectation in expected.items():
        if expectation.decision != "none":
            outcomes[referral] = await decide(api, referral, expected)
            if len(outcomes) % _TOLD_EVERY == 0:
                progress.say(f"the approvers have decided on {len(outcomes)} referrals of the past")
    progress.say(f"the approvers have decided on all {len(outcomes)} referrals of the past that a person decides on")
    return outcomes


_POLL_SECONDS: Final = 0.2
_STEADY_SECONDS: Final = 1.0
_REST_TOLD_EVERY: Final = 10


async def rest(database: Database, referrals: Sequence[str], progress: Progress, seconds: float = 60.0) -> None:
    """Wait until no referral changes by itself any more. After a timeout, report those that still do."""
    told = len(referrals)
    try:
        async with asyncio.timeout(seconds):
            while True:
                _let_go()
                async with database.reading() as connection:
                    moving = await at_rest.moving(connection, referrals)
                if not moving:
                    return
                if told - len(moving) >= _REST_TOLD_EVERY:
                    told = len(moving)
                    progress.say(f"{told} of {len(referrals)} referrals are still being worked on")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        progress.say(f"still moving after {seconds:.0f} s: {', '.join(moving)}")


def _let_go() -> None:
    """Raise a pending cancellation. The database driver uses `asyncio.wait_for`, which in Python 3.11 loses a
    cancellation that arrives together with a result."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def listed_at_rest(api: Api, database: Database, progress: Progress) -> dict[str, dict[str, Any]]:
    """Return every referral by id, once nothing changes any more.

    When a claim wakes a rival, the register shows nothing of it until the rival is judged again. So only a listing that
    stays the same for a while is at rest.
    """
    earlier: dict[str, dict[str, Any]] = {}
    while True:
        await rest(database, list(earlier or await api.referrals()), progress)
        listed = await api.referrals()
        if listed == earlier:
            return listed
        earlier = listed
        await asyncio.sleep(_STEADY_SECONDS)
