"""Whatever random referrals come to, an audit of what was paid of them finds nothing."""

import pytest

from models.session import Database
from tests import population_of_claims
from tests.audit.office import lived
from tests.seeds import seeds


@pytest.mark.parametrize("seed", seeds(1, of=12))
async def test_an_audit_finds_nothing_in_what_the_product_paid(database_url: str, seed: int) -> None:
    terms, waves = population_of_claims.population(seed, size=8)
    database = Database.at(database_url)
    try:
        office = await lived(database, terms, waves, seed)
        examined = await office.audited()
    finally:
        await database.close()
    assert examined, "nothing was paid, so nothing was tried"
    assert [finding for each in examined for finding in each.findings] == []
