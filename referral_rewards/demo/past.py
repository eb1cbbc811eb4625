"""The past part: a file of facts of the last twelve months goes in at once, and people work through the queue."""

import asyncio
from typing import Any, Final

from models.session import Database
from referral_rewards.demo.api import Api
from referral_rewards.demo.approvers import decide, took_effect
from referral_rewards.demo.progress import Progress
from referral_rewards.demo.script import Expectation, Script
from referral_rewards.domain.errors import Problem
from referral_rewards.register.fact_files import FactFile
from referral_rewards.register.file_intake import FileIntake
from referral_rewards.reporting import settling

_POLL_SECONDS: Final = 0.3
_TOLD_EVERY: Final = 10


async def take_in(database: Database, pepper: bytes, script: Script, progress: Progress) -> None:
    """What `referrals ingest FILE --wait` does: all facts are stored, all referrals wait for a person or a timer."""

    def tell(line: int, problem: Problem) -> None:
        progress.say(f"{script.past_file.name} line {line}: {problem}")

    tally = await FileIntake(database, pepper, tell=tell).take(FactFile.at(script.past_file))
    assert tally.batch is not None
    async with database.transaction() as connection:
        touched = await settling.touched(connection, tally.batch)
    progress.say(f"{tally.recorded} facts of the past are recorded; {len(touched)} referrals live through a year")
    await rest(database, touched, progress)


async def rest(database: Database, referrals: list[str], progress: Progress, seconds: float = 60.0) -> None:
    """Returns once nothing happens to the referrals by itself any more; after so long it tells which still move."""
    told = len(referrals)
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with database.transaction() as connection:
                    moving = await settling.moving(connection, referrals)
                if not moving:
                    return
                if told - len(moving) >= _TOLD_EVERY:
                    told = len(moving)
                    progress.say(f"{told} of {len(referrals)} referrals are still being worked on")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        progress.say(f"still moving after {seconds:.0f} s: {', '.join(moving)}")


async def work_through(api: Api, expected: dict[str, Expectation], progress: Progress) -> dict[str, tuple[Any, str]]:
    """Decides in the order of the script; by referral, how it stood just before and what was decided."""
    outcomes = {}
    for referral, expectation in expected.items():
        if expectation.decision != "none":
            if expectation.decided_after is not None:
                await took_effect(api, expectation.decided_after)
            outcomes[referral] = await decide(api, referral, expectation)
            if len(outcomes) % _TOLD_EVERY == 0:
                progress.say(f"the approvers have decided on {len(outcomes)} referrals of the past")
    progress.say(f"the approvers have decided on all {len(outcomes)} referrals of the past that a person decides on")
    return outcomes
