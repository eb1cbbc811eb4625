"""Codes as people type them: whose reward a claim asks for that names a code and no referrer."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from models.session import Database
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from tests.register.crowd import Crowd, enrolment, life, told

OTTO = {"customer": "c-otto", "email": "otto@example.com"}


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url)
    yield Crowd(database)
    await database.close()


def with_code(referrer: str, code: str) -> list[dict[str, Any]]:
    return [{**event, "data": {**event["data"], "code": code}} for event in enrolment(referrer)]


def by_code(code: str) -> list[dict[str, Any]]:
    """Otto claims by this code, and buys."""
    first, bought = life("a", "nobody", referee="otto", order="o")
    claim = {key: value for key, value in first["data"].items() if key != "referrer"}
    return [{**first, "data": {**claim, "referrer_code": code}}, bought]


async def claim_of(crowd: Crowd, referral: str) -> RewardClaim:
    async with crowd.database.transaction() as connection:
        row = await referrals.row(connection, referral)
        assert row is not None
        return (await claims.current(connection, row.claim_id))[0]


@pytest.mark.parametrize("typed", ["MIRA-C01", "mira-c01", "Mira C01", "mirac01"])
@pytest.mark.parametrize("first", ["the enrolment", "the claim"])
@pytest.mark.suite_has(4)
async def test_a_code_is_its_owners_however_it_is_typed(crowd: Crowd, typed: str, first: str) -> None:
    await crowd.publish("friends")
    told_first, told_last = with_code("mira", "MIRA-C01"), by_code(typed)
    if first == "the claim":
        told_first, told_last = told_last, told_first
    await crowd.live(told_first)
    await crowd.live(told_last)
    claim = await claim_of(crowd, "a")
    assert [leg.beneficiary for leg in claim.legs] == ["mira"]
    assert (claim.flag_names, claim.recommendation) == ((), "approve")


async def test_a_code_that_nobody_has_denies_nothing(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(with_code("lena", "LENA25") + by_code("LENA52"))
    claim = await claim_of(crowd, "a")
    assert [leg.beneficiary for leg in claim.legs] == [None]
    assert (claim.flag_names, claim.denial) == (("unknown_referrer",), None)


async def test_a_code_of_two_referrers_is_for_two_people_to_settle(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(with_code("mira", "SUMMER") + with_code("lena", "summer") + by_code("Summer"))
    claim = await claim_of(crowd, "a")
    assert [leg.beneficiary for leg in claim.legs] == [None]
    assert (claim.flag_names, claim.denial, claim.recommendation) == (("disputed_attribution",), None, "review")
    assert "lena and mira" in next(each.sentence for each in claim.flags)
    assert claim.requirement.routes == ("operations", "program_owner")


async def test_a_third_owner_of_a_code_voids_what_was_decided_on(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(with_code("mira", "SUMMER") + with_code("lena", "SUMMER") + by_code("SUMMER"))
    before = await claim_of(crowd, "a")
    third = {"referrer": "otis", "program": "friends", "customer": "c-otis", "code": "SUMMER"}
    await crowd.live([told("otis", "referrer.enrolled", 200, third)])
    assert (await claim_of(crowd, "a")).core_digest != before.core_digest
