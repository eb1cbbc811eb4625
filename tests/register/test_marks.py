"""Whoever decides must be nobody who is paid: the marks of a payee, alone and among the payees of a cycle."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from referral_rewards.register import marks as register
from tests.desk import Desk, days_ago, desk_after, enrolment, event, marks
from tests.snapshots import Snapshots

PAYEES = ("dexter", "c-r1")


@pytest.fixture
async def desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    """A desk where dexter's reward and that of c-r1 were approved, and dexter once bought under another id."""
    async with desk_after(snapshots, _approved) as opened:
        yield opened


async def _approved(opened: Desk) -> None:
    await opened.tell(enrolment())
    await opened.referral("r1")
    await opened.decide("r1", "approve")
    await opened.judge("r1")
    customer = {"customer": "c-other", "email": "dexter@example.com", "phone": "+14155550199"}
    bought = {"order": "o-other", "kind": "purchase", "customer": customer, "amount": "9.00", "currency": "USD"}
    await opened.tell(event("other", "conversion.recorded", days_ago(200), {**bought, "new_customer": False}))


async def test_a_payee_is_known_by_enrolments_and_by_purchases_that_share_an_identity_with_one(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        found = await register.of_payee(connection, "dexter")
    assert found >= {"customer:dexter", "customer:c-dexter", "customer:c-other"}
    assert found >= marks(email="dexter@example.com") | marks(phone="+14155550199")


async def test_the_payees_of_a_cycle_are_known_by_all_that_each_is_known_by_alone(desk: Desk) -> None:
    cycle = uuid4()
    async with desk.database.transaction() as connection:
        await connection.execute(_CYCLE, {"id": cycle})
        await connection.execute(text("UPDATE payout SET referral_id = NULL, cycle_id = :cycle"), {"cycle": cycle})
        alone = [await register.of_payee(connection, payee) for payee in PAYEES]
        together = await register.of_payees_of_cycle(connection, cycle)
    assert together == frozenset().union(*alone)
    assert "customer:c-other" in together


async def test_a_cycle_of_nobody_has_no_marks(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        assert await register.of_payees_of_cycle(connection, uuid4()) == frozenset()


_CYCLE = text("""
INSERT INTO payout_cycle (id, program, due_on, version, currency, state, digest, summary, opened_at, frozen_at,
                          updated_at)
VALUES (:id, 'acme-friends', '2026-07-01', 1, 'USD', 'frozen', 'd', '{}', now(), now() - interval '1 minute', now())
""")
