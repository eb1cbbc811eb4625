"""The scripted approvers: each role somebody's, two people where two are asked for, one to say no."""

from pathlib import Path
from typing import Any

import pytest

from models.session import Database
from referral_rewards.config.credentials import stored, stored_passwords
from referral_rewards.local.demo.approvers import PEOPLE, hire, let_in, needed


@pytest.mark.parametrize(
    ("routes", "people", "everybody", "users"),
    [
        (["program_owner"], 1, True, ["per"]),
        (["program_owner"], 2, True, ["per", "una"]),
        (["finance", "program_owner"], 2, True, ["fay", "per"]),
        (["finance", "program_owner"], 1, True, ["fay", "per"]),
        (["finance", "operations", "program_owner"], 2, True, ["fay", "olga", "per"]),
        (["finance", "program_owner"], 2, False, ["fay"]),
    ],
)
def test_as_many_decide_as_the_claim_asks_for(
    routes: list[str], people: int, everybody: bool, users: list[str]
) -> None:
    requirement: dict[str, Any] = {"routes": routes, "people": people}
    assert needed(requirement, everybody=everybody) == users


async def test_whoever_stays_after_the_demo_can_act_as_each_approver(database_url: str, tmp_path: Path) -> None:
    database = Database.at(database_url, pool_size=1)
    try:
        tokens = await hire(database)
        await let_in(database, tmp_path, tokens)
    finally:
        await database.close()
    assert stored(tmp_path) == tokens
    assert stored_passwords(tmp_path).keys() == PEOPLE.keys()
