"""The past part: a file of facts of the last twelve months goes in at once, and people work through the queue."""

from collections.abc import Mapping
from typing import Any, Final

from models.session import Database
from referral_rewards.domain.errors import Problem
from referral_rewards.local.demo.api import Api
from referral_rewards.local.demo.approvers import decide
from referral_rewards.local.demo.progress import Progress
from referral_rewards.local.demo.rest import rest
from referral_rewards.local.demo.script import Expectation, Script
from referral_rewards.register.facts.file_intake import FileIntake
from referral_rewards.register.facts.files import FactFile
from referral_rewards.reporting.referrals import at_rest

_TOLD_EVERY: Final = 10


async def take_in(database: Database, pepper: bytes, script: Script, progress: Progress) -> None:
    """What `referrals ingest FILE --wait` does: all facts are stored, all referrals wait for a person or a timer."""

    def tell(line: int, problem: Problem) -> None:
        progress.say(f"{script.past_file.name} line {line}: {problem}")

    tally = await FileIntake(database, pepper, tell=tell).take(FactFile.at(script.past_file))
    assert tally.batch is not None
    async with database.transaction() as connection:
        touched = await at_rest.touched(connection, tally.batch)
    progress.say(f"{tally.recorded} facts of the past are recorded; {len(touched)} referrals live through a year")
    await rest(database, touched, progress)


async def work_through(api: Api, expected: Mapping[str, Expectation], progress: Progress) -> dict[str, tuple[Any, str]]:
    """Decides in the order of the script; by referral, how it stood just before and what was decided."""
    outcomes = {}
    for referral, expectation in expected.items():
        if expectation.decision != "none":
            outcomes[referral] = await decide(api, referral, expected)
            if len(outcomes) % _TOLD_EVERY == 0:
                progress.say(f"the approvers have decided on {len(outcomes)} referrals of the past")
    progress.say(f"the approvers have decided on all {len(outcomes)} referrals of the past that a person decides on")
    return outcomes
