"""Legs that wait for a payment method: approved without one, bound later, by one signature or by the terms."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from models.session import Database
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.payees import method_notices, subject
from referral_rewards.register.recording.record import record
from tests.patience import PATIENCE_SECONDS
from tests.register.crowd import CONNECTIONS, NOW, Crowd, enrolment, life, told

CASH: dict[str, Any] = {
    "rewards": {"referrer": {"kind": "cash", "amount": "10.00"}},
    "approval": {"routes": {"cash": ["finance"]}},
}
RAIL, ACCOUNT = "stripe_transfer", "acct_mira1"


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url, pool_size=CONNECTIONS, patience_seconds=PATIENCE_SECONDS)
    yield Crowd(database)
    await database.close()


async def _approved(crowd: Crowd, *names: str, **payouts: Any) -> None:
    """Referrals of mira, approved before she has named any account."""
    await crowd.publish("friends", changes={**CASH, "payouts": {"rails": {"cash": RAIL}, **payouts}})
    facts = [each for name in names for each in life(name, "mira", referee=f"f{name}", order=f"o{name}")]
    await crowd.live([*enrolment("mira"), *facts])
    await crowd.approve_together(names)


async def _tell(crowd: Crowd, id_: str, reference: str = ACCOUNT, days_ago: int = 0, rail: str = RAIL) -> None:
    crowd.now += timedelta(minutes=1)
    data = {"payee": "mira", "rail": rail, "reference": reference}
    await crowd.live([told(id_, "payee.method_set", days_ago, data)])


async def _redirect(crowd: Crowd, user: str, rail: str = RAIL) -> None:
    async with crowd.database.transaction() as connection:
        shown = await subject.shown(connection, "mira", rail, crowd.now, crowd.keys)
        asked = Asked("mira", MoneyAct.REDIRECT_PAYEE, "confirmed_with_payee", "called", shown.digest, rail=rail)
        approver = Approver(user, frozenset({Role.FINANCE}))
        await record(connection, asked, approver, now=crowd.now, keys=crowd.keys, signer=crowd.signer)
    await crowd.judge_woken()


async def _legs(crowd: Crowd) -> list[tuple[str, str | None, str | None]]:
    """Of each leg, by its referral: its state, and where its payout would pay it."""
    rows = await crowd.rows("""
        SELECT l.state, l.destination, p.body->>'destination' AS paid_to
        FROM leg l LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live LEFT JOIN payout p ON p.id = pl.payout_id
        WHERE l.state <> 'cancelled' ORDER BY l.referral_id
    """)
    return [tuple(row) for row in rows]


WAITS = ("waiting_method", None, None)
GOES_ON = ("reserved", None, ACCOUNT)


async def test_an_approved_leg_waits_and_its_claim_has_no_flag(crowd: Crowd) -> None:
    await _approved(crowd, "r1")

    assert await _legs(crowd) == [WAITS]
    assert await crowd.rows("SELECT 1 FROM payout") == []
    (row,) = await crowd.rows("SELECT r.status, c.body FROM referral r JOIN reward_claim c ON c.id = r.claim_id")
    assert (row.status, row.body["flags"], row.body["recommendation"]) == ("approved", [], "approve")
    (asked,) = await crowd.rows("SELECT recipient FROM notice WHERE template = 'method_needed'")
    assert asked.recipient == "mira"


async def test_one_of_finance_binds_the_first_account_for_all_that_waits_without_a_new_approval(crowd: Crowd) -> None:
    await _approved(crowd, "r1", "r2")
    claims = {row.claim_id for row in await crowd.standing()}
    await _tell(crowd, "m1")
    assert await _legs(crowd) == [WAITS, WAITS]

    await _redirect(crowd, "fiona")

    assert await _legs(crowd) == [GOES_ON, GOES_ON]
    assert {row.claim_id for row in await crowd.standing()} == claims
    assert await crowd.outcomes() == {("approved", None): 2}
    assert await crowd.rows("SELECT 1 FROM notice WHERE template = 'method_changed'") == []


async def test_the_terms_may_pay_the_first_account_without_anybody(crowd: Crowd) -> None:
    await _approved(crowd, "r1", first_method="pay")
    assert await _legs(crowd) == [WAITS]

    await _tell(crowd, "m1")

    assert await _legs(crowd) == [GOES_ON]


@pytest.mark.parametrize("days_ago", [0, 300])
async def test_a_second_account_is_not_the_first_whenever_it_is_said_to_be_from(crowd: Crowd, days_ago: int) -> None:
    await _approved(crowd, "r1", first_method="pay")
    await _tell(crowd, "m1", "acct_other9", rail="manual")
    await _tell(crowd, "m2", days_ago=days_ago)

    assert await _legs(crowd) == [WAITS]
    with pytest.raises(ActRefused, match="told"):
        await _redirect(crowd, "fiona")


async def test_an_account_told_before_a_planned_first_payment_stops_it(crowd: Crowd) -> None:
    await _approved(crowd, "r1", first_method="pay")
    await _tell(crowd, "m1")
    await _tell(crowd, "m2", "acct_other9")

    assert await _legs(crowd) == [WAITS]


async def test_a_leg_waits_out_a_cycle_and_is_gathered_once_it_is_bound(crowd: Crowd) -> None:
    await _approved(crowd, "r1", timing={"cycle": "monthly", "day": 15})
    assert await _legs(crowd) == [WAITS]
    await _tell(crowd, "m1")
    await _redirect(crowd, "fiona")

    assert await _legs(crowd) == [("reserved", None, None)]
    (row,) = await crowd.rows("SELECT bound_to FROM leg")
    assert row.bound_to == ACCOUNT


@pytest.mark.parametrize("rail", ["manual", "paypal_payouts"])
async def test_no_instruction_is_written_without_an_account(crowd: Crowd, rail: str) -> None:
    await _approved(crowd, "r1", rails={"cash": rail})

    assert await _legs(crowd) == [WAITS]
    assert await crowd.rows("SELECT 1 FROM payment_instruction") == []


async def test_an_account_that_its_rail_cannot_pay_to_is_none(crowd: Crowd) -> None:
    await _approved(crowd, "r1")
    await _tell(crowd, "m1", "no-account")

    assert await _legs(crowd) == [WAITS]
    with pytest.raises(ActRefused, match="can't pay to"):
        await _redirect(crowd, "fiona")


async def test_the_payee_is_told_of_another_account_at_the_addresses_known_before(crowd: Crowd) -> None:
    await _approved(crowd, "r1")
    await _tell(crowd, "m1")
    crowd.now += timedelta(days=2)
    about = {"referrer": "mira", "program": "friends", "customer": "c-mira", "email": "thief@example.com"}
    await crowd.live([told("late", "referrer.enrolled", 299, about)])
    await _tell(crowd, "m2", "acct_other9")

    letters = await crowd.rows("""
        SELECT recipient, occasion FROM notice WHERE template = 'method_changed'
    """)
    async with crowd.database.reading() as connection:
        written = [(row.recipient, await method_notices.address(connection, row.occasion)) for row in letters]
    assert written == [("mira", "mira@example.com")]
    assert crowd.now > NOW
