"""The scripted approvers: each role somebody's, two people where two are asked for, one to say no."""

from typing import Any

import pytest

from referral_rewards.local.demo.approvers import needed


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
