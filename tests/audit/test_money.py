"""The audit of the money finds nothing in what the product did by itself."""

from collections.abc import AsyncIterator

import pytest

from models.session import Database
from referral_rewards.audit.findings import Finding
from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from referral_rewards.register.facts.intake import Intake
from tests import population_of_claims
from tests.audit.office import PEPPER
from tests.audit.office import lived as office_of
from tests.audit.paid import ACME, lived
from tests.desk import Desk, desk_after
from tests.seeds import seeds
from tests.snapshots import Snapshots


@pytest.fixture
async def paid(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as opened:
        yield opened


async def found(desk: Desk, scope: Scope = Scope(ACME)) -> list[Finding]:
    async with desk.database.reading() as connection:
        steps = [
            each async for each in walked(connection, scope, Means(desk.parts.keys.keys, desk.parts.intake.marker))
        ]
    return [f for each in steps for f in (each.findings if isinstance(each, Audited) else (each,))]


async def test_what_was_paid_and_taken_back_by_the_product_has_no_finding(paid: Desk) -> None:
    assert await found(paid) == []


@pytest.mark.parametrize("seed", seeds(1, of=12))
async def test_whatever_random_referrals_come_to_what_the_product_paid_has_no_finding(
    database_url: str, seed: int
) -> None:
    terms, waves = population_of_claims.population(seed, size=8)
    database = Database.at(database_url)
    try:
        office = await office_of(database, terms, waves, seed)
        means = Means(office.judgement_keys.keys, Intake(PEPPER).marker)
        async with database.reading() as connection:
            steps = [
                each for program in sorted(office.terms) async for each in walked(connection, Scope(program), means)
            ]
    finally:
        await database.close()
    audited = [each for each in steps if isinstance(each, Audited)]
    assert audited, "nothing was paid, so nothing was tried"
    assert [each for each in steps if isinstance(each, Finding)] == []
    assert [found for each in audited for found in each.findings] == []
