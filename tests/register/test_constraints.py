"""A violated constraint is told by its name: what it means where it is expected, and as a bug where it is not."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from models import LegRow
from models.session import Database
from referral_rewards.domain.errors import DecisionRefused
from tests.register.crowd import NOW, Crowd, enrolment, life


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url)
    yield Crowd(database)
    await database.close()


@pytest.mark.forges
async def test_an_order_that_is_rewarded_already_voids_the_approval(crowd: Crowd) -> None:
    await _one_waits(crowd)
    await crowd.approve("a", "paula")
    await _stray_leg(crowd, order="o")
    await crowd.judge_woken()
    (effect,) = await crowd.rows("SELECT effect, why FROM decision_effect")
    assert (effect.effect, effect.why) == ("void", "the same order is already rewarded")
    assert await crowd.outcomes() == {("awaiting_approval", None): 1}


@pytest.mark.forges
async def test_an_order_that_is_rewarded_already_is_not_approved(crowd: Crowd) -> None:
    await _one_waits(crowd)
    await _stray_leg(crowd, order="o")
    with pytest.raises(DecisionRefused, match="rewarded for the same order"):
        await crowd.approve("a", "paula")


@pytest.mark.parametrize(
    "constraint",
    [
        "ALTER TABLE leg ADD CONSTRAINT ck_for_test CHECK (amount_minor < 0) NOT VALID",
        "ALTER TABLE payout ADD CONSTRAINT ck_for_test CHECK (amount_minor < 0) NOT VALID",
        "ALTER TABLE payout_leg ADD CONSTRAINT ck_for_test FOREIGN KEY (leg_id) REFERENCES payout (id)",
        "ALTER TABLE ledger_transaction ADD CONSTRAINT ck_for_test CHECK (key IS NULL) NOT VALID",
    ],
    ids=["leg", "payout", "payout_leg", "ledger"],
)
async def test_any_other_constraint_that_a_reservation_violates_is_a_bug(crowd: Crowd, constraint: str) -> None:
    await _one_waits(crowd)
    async with crowd.database.transaction() as connection:
        await connection.execute(text(constraint))
    with pytest.raises(IntegrityError, match="ck_for_test"):
        await crowd.approve_together(["a"])
    assert await crowd.effects() == {}
    assert await crowd.held() == []


@pytest.mark.forges
async def test_another_unique_index_is_no_order_that_is_rewarded_already(crowd: Crowd) -> None:
    await _one_waits(crowd)
    await _stray_leg(crowd, order="another order")
    async with crowd.database.transaction() as connection:
        await connection.execute(text("CREATE UNIQUE INDEX uq_for_test ON leg (program)"))
    with pytest.raises(IntegrityError, match="uq_for_test"):
        await crowd.approve_together(["a"])
    assert await crowd.effects() == {}


async def _one_waits(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="brie", order="o"))


async def _stray_leg(crowd: Crowd, *, order: str) -> None:
    """A leg that no judgement knows of."""
    leg = {
        **dict.fromkeys(("id", "claim_id"), uuid4()),
        **dict.fromkeys(("digest", "referrer", "beneficiary", "referral_id"), "stray"),
        "program": "friends",
        "order_key": order,
        "role": "referrer",
        "kind": "credit",
        "rail": "account_credit",
        "amount_minor": 1000,
        "currency": "USD",
        "state": "reserved",
        "approved_at": NOW,
    }
    async with crowd.database.transaction() as connection:
        await connection.execute(insert(LegRow).values(leg))
