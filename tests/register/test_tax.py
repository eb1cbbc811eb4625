"""Legs that wait for a tax form: none slips under the threshold, and each goes on by itself once it may."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.books.deductions import Part
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register.payees import deductions
from referral_rewards.register.payees import rows as payees
from referral_rewards.register.payouts import answers
from referral_rewards.register.payouts.grounds import load
from tests.patience import PATIENCE_SECONDS
from tests.register.crowd import CONNECTIONS, INTAKE, NOW, Crowd, enrolment, life, told

#: Each reward is 400.00, and 2000.00 in the year of 2026 needs a form: four can be paid without one.
WITHOUT_A_FORM = 4
REWARD = 400_00
US: dict[str, Any] = {
    "rewards": {"referrer": {"kind": "credit", "amount": "400.00"}},
    "tax": {"regime": "us"},
}
NEXT_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url, pool_size=CONNECTIONS, patience_seconds=PATIENCE_SECONDS)
    yield Crowd(database)
    await database.close()


async def test_of_many_approved_at_once_by_two_programs_no_more_are_planned_than_need_no_form(crowd: Crowd) -> None:
    names = await _live(crowd, 12)

    await crowd.approve_together(names)

    assert await _states(crowd) == {"reserved": WITHOUT_A_FORM, "tax_hold": 12 - WITHOUT_A_FORM}
    assert len(await crowd.rows("SELECT 1 FROM payout")) == WITHOUT_A_FORM
    woken = await crowd.rows(
        "SELECT wake_at FROM referral r JOIN leg l ON l.referral_id = r.id WHERE state = 'tax_hold'"
    )
    assert {row.wake_at for row in woken} == {NEXT_YEAR}

    await crowd.live([_form()])

    assert await _states(crowd) == {"reserved": 12}
    assert len(await crowd.rows("SELECT 1 FROM payout")) == 12
    assert await crowd.rows("SELECT 1 FROM referral WHERE wake_at IS NOT NULL") == []


async def test_a_form_that_arrives_while_approvals_race_leaves_nobody_waiting(crowd: Crowd) -> None:
    """Whoever does not see the form yet is seen by whoever records it."""
    names = await _live(crowd, 12)
    approving = asyncio.create_task(crowd.approve_together(names))
    while not await crowd.rows("SELECT 1 FROM leg WHERE state = 'tax_hold'") and not approving.done():
        await asyncio.sleep(0)
    async with crowd.database.transaction() as connection:
        await INTAKE.record(connection, [parse_event(_form())], received_at=NOW)
    await approving
    await crowd.judge_woken()

    assert await _states(crowd) == {"reserved": 12}


async def test_at_the_turn_of_the_year_what_settled_in_the_old_one_counts_no_more(crowd: Crowd) -> None:
    names = await _live(crowd, 6)
    await crowd.approve_together(names)
    on_their_way = [row.id for row in await crowd.rows("SELECT id FROM payout ORDER BY id")]
    for payout in on_their_way[:-1]:
        await _settle(crowd, payout, NEXT_YEAR - timedelta(microseconds=1))
    held = await crowd.rows("SELECT referral_id FROM leg WHERE state = 'tax_hold'")

    crowd.now = NEXT_YEAR - timedelta(microseconds=1)
    await _judge(crowd, [row.referral_id for row in held])
    assert (await _states(crowd))["tax_hold"] == 2

    crowd.now = NEXT_YEAR
    await _judge(crowd, [row.referral_id for row in held])
    assert await _states(crowd) == {"paid": 3, "reserved": 3}


async def test_a_payment_that_settles_in_the_new_year_counts_there(crowd: Crowd) -> None:
    names = await _live(crowd, WITHOUT_A_FORM + 1)
    await crowd.approve_together(names)
    for row in await crowd.rows("SELECT id FROM payout"):
        await _settle(crowd, row.id, NEXT_YEAR)
    (held,) = await crowd.rows("SELECT referral_id FROM leg WHERE state = 'tax_hold'")

    crowd.now = NEXT_YEAR + timedelta(days=1)
    await _judge(crowd, [held.referral_id])

    (row,) = await crowd.rows(
        "SELECT wake_at FROM referral r JOIN leg l ON l.referral_id = r.id WHERE state = 'tax_hold'"
    )
    assert row.wake_at == datetime(2028, 1, 1, tzinfo=UTC)


async def test_a_form_valid_from_another_day_lets_go_on_that_day(crowd: Crowd) -> None:
    names = await _live(crowd, WITHOUT_A_FORM + 1)
    await crowd.approve_together(names)
    await crowd.live([_form(valid_from="2026-09-01")])
    (held,) = await crowd.rows("SELECT r.id, wake_at FROM referral r JOIN leg l ON l.referral_id = r.id"
                               " WHERE state = 'tax_hold'")  # fmt: skip
    assert held.wake_at == datetime(2026, 9, 1, tzinfo=UTC)

    crowd.now = held.wake_at
    await _judge(crowd, [held.id])
    assert await _states(crowd) == {"reserved": WITHOUT_A_FORM + 1}


async def test_what_was_planned_and_taken_back_makes_room_for_what_waits(crowd: Crowd) -> None:
    names = await _live(crowd, WITHOUT_A_FORM + 1)
    await crowd.approve_together(names)
    (planned, *_) = await crowd.rows("SELECT order_key FROM leg WHERE state = 'reserved' ORDER BY order_key")

    refund = {"order": planned.order_key, "kind": "refund"}
    await crowd.live([told("refund", "conversion.reversed", 1, refund)])

    assert await _states(crowd) == {"cancelled": 1, "reserved": WITHOUT_A_FORM}


async def test_a_payee_known_by_the_order_alone_goes_on_when_the_form_arrives(crowd: Crowd) -> None:
    """No key leads from the fact to the referral: it names neither the referral nor anybody who claimed."""
    rewards = {"referee": {"kind": "credit", "amount": "2000.00"}}
    await crowd.publish("friends", changes={**US, "rewards": rewards})
    lives = life("a", "dexter", referee="brie", order="o")
    for event in lives:
        if event["type"] == "referral.claimed":
            event["data"] = {**event["data"], "referee": {"email": "brie@example.com"}}
    await crowd.live([*enrolment("dexter"), *lives])
    await crowd.approve_together(["a"])
    assert await _states(crowd) == {"tax_hold": 1}

    await crowd.live([_form("c-brie")])
    assert await _states(crowd) == {"reserved": 1}


async def test_a_leg_of_a_payout_cycle_is_decided_on_when_the_cycle_collects_it(crowd: Crowd) -> None:
    payouts_ = {"rails": {"credit": "account_credit"}, "timing": {"cycle": "monthly", "day": 1}}
    await crowd.publish("friends", changes={**US, "payouts": payouts_})
    lives = enrolment("dexter")
    for n in range(WITHOUT_A_FORM + 1):
        lives += life(f"r{n}", "dexter", referee=f"brie{n}", order=f"o{n}")
    await crowd.live(lives)
    await crowd.approve_together([f"r{n}" for n in range(WITHOUT_A_FORM + 1)])
    assert await _states(crowd) == {"reserved": WITHOUT_A_FORM + 1}


async def test_payee_who_is_paid_in_another_currency_too_needs_a_form(crowd: Crowd) -> None:
    await crowd.publish("friends", changes=US)
    await crowd.publish("amis", changes={"currency": "EUR"})
    lives = [*enrolment("dexter"), *enrolment("dexter", "amis")]
    lives += life("eur", "dexter", referee="brie1", order="o1", program="amis")
    lives += life("usd", "dexter", referee="brie2", order="o2")
    for event in lives:
        if event["data"].get("order") == "o1":
            event["data"]["currency"] = "EUR"
    await crowd.live(lives)
    await crowd.approve_together(["eur"])
    await crowd.approve_together(["usd"])
    held = await crowd.rows("SELECT referral_id FROM leg WHERE state = 'tax_hold'")
    assert [row.referral_id for row in held] == ["usd"]


async def _unauthorised(crowd: Crowd, connection: AsyncConnection, payout: Any) -> str | None:
    """Why the payout may not be lowered as its rows say."""
    grounds = await load(connection, payout, [], crowd.keys)
    assert grounds.dates.planned_at is not None
    terms = await payees.terms_of(connection, [leg.id for leg in grounds.legs])
    parts = [Part(terms[leg.id], leg.amount_minor) for leg in grounds.legs]
    kept_for = await deductions.offsets(connection, payout.id, grounds.deductions, crowd.keys)
    lowered_by = grounds.deductions
    return deductions.unauthorised(payout, grounds.dates.planned_at, parts, lowered_by, grounds.told, kept_for)


@pytest.mark.parametrize(("percent", "sent"), [("24", 304_00), ("0", REWARD), ("100", 0), ("33.333", 266_67)])
@pytest.mark.suite_has(2)
async def test_what_a_form_has_withheld_is_not_sent(crowd: Crowd, percent: str, sent: int) -> None:
    await crowd.publish("friends", changes=US)
    await crowd.live([*enrolment("dexter"), *life("a", "dexter", referee="brie", order="o")])
    await crowd.live([_form(withholding_percent=percent)])
    await crowd.approve_together(["a"])

    (payout,) = await crowd.rows("SELECT * FROM payout")
    kept = await crowd.rows("SELECT kind, source, amount_minor, live FROM payout_deduction")
    assert (payout.amount_minor, payout.body["amount_minor"]) == (sent, sent)
    assert kept == ([("withholding", "us", REWARD - sent, True)] if sent < REWARD else [])

    async with crowd.database.transaction() as connection:
        assert await _unauthorised(crowd, connection, payout) is None
        forged = "INSERT INTO payout_deduction VALUES (:id, 'withholding', 'us', 1, true) ON CONFLICT DO NOTHING"
        await connection.execute(text(forged), {"id": payout.id})
        await connection.execute(text("UPDATE payout_deduction SET amount_minor = amount_minor + 1"))
        said = await _unauthorised(crowd, connection, payout)
        assert said == "no tax form of its payee has so much of it withheld"
        await connection.rollback()

    await _settle(crowd, payout.id, NOW)
    books = {row.account: int(row.minor) for row in await crowd.rows(_BALANCES)}
    assert books["payable:dexter"] == 0
    assert books.get("withholding:us", 0) == sent - REWARD
    assert books.get("clearing:account_credit", 0) == -sent


async def test_what_a_form_has_withheld_is_not_sent_for_a_row_that_was_taken_away(crowd: Crowd) -> None:
    await crowd.publish("friends", changes=US)
    await crowd.live([*enrolment("dexter"), *life("a", "dexter", referee="brie", order="o")])
    await crowd.live([_form(withholding_percent="24")])
    crowd.now += timedelta(hours=1)
    await crowd.approve_together(["a"])
    (payout,) = await crowd.rows("SELECT * FROM payout")
    async with crowd.database.transaction() as connection:
        assert await _unauthorised(crowd, connection, payout) is None
        await connection.execute(text("UPDATE payout_deduction SET live = false"))
        said = await _unauthorised(crowd, connection, payout)
        assert said == "the tax form of its payee has more of it withheld"


async def test_a_form_that_is_filed_after_the_plan_withholds_nothing_of_it(crowd: Crowd) -> None:
    await crowd.publish("friends", changes=US)
    await crowd.live([*enrolment("dexter"), *life("a", "dexter", referee="brie", order="o")])
    await crowd.approve_together(["a"])
    (payout,) = await crowd.rows("SELECT * FROM payout")
    crowd.now += timedelta(hours=1)
    await crowd.live([_form(withholding_percent="24")])
    async with crowd.database.transaction() as connection:
        assert await _unauthorised(crowd, connection, payout) is None


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_order_forms_arrive_in_the_same_is_sent(crowd: Crowd, seed: int) -> None:
    """One that was replaced, one that the regime does not take, and the one in force: around what they decide on."""
    rng = random.Random(seed)
    rewards = {"referrer": {"kind": "credit", "amount": "3000.00"}}
    await crowd.publish("friends", changes={**US, "rewards": rewards})
    said = [{"form": "W-9"}, {"form": "letter"}, {"form": "W-8BEN", "withholding_percent": "30"}]
    forms = [
        [told(f"f{n}", "payee.tax_form_filed", 500 - n, {"payee": "dexter", **each})] for n, each in enumerate(said)
    ]
    told_of = [*forms, [*enrolment("dexter"), *life("a", "dexter", referee="brie", order="o")]]
    rng.shuffle(told_of)
    for facts in told_of:
        await crowd.live(facts)
    await crowd.approve_together(["a"])
    (payout,) = await crowd.rows("SELECT amount_minor FROM payout")
    assert payout.amount_minor == 2100_00


async def _live(crowd: Crowd, size: int) -> list[str]:
    """Referrals of dexter's before their approvers, by turns in two programs that report to the same authority."""
    lives = []
    for program in ("friends", "partners"):
        await crowd.publish(program, changes=US)
        lives += enrolment("dexter", program)
    for n in range(size):
        program = ("friends", "partners")[n % 2]
        lives += life(f"r{n}", "dexter", referee=f"brie{n}", order=f"o{n}", program=program)
    await crowd.live(lives)
    return [f"r{n}" for n in range(size)]


def _form(payee: str = "dexter", **said: str) -> dict[str, Any]:
    return told("form", "payee.tax_form_filed", 0, {"payee": payee, "form": "W-9", **said})


async def _settle(crowd: Crowd, payout: Any, at: datetime) -> None:
    async with crowd.database.transaction() as connection:
        await answers.note(connection, payout, PayoutState.SETTLED, at, reference="paid", why=None)


async def _judge(crowd: Crowd, names: list[str]) -> None:
    """As the alarm of each would have it, without anything that woke them."""
    await asyncio.gather(*(crowd.judge(name) for name in names))


async def _states(crowd: Crowd) -> dict[str, int]:
    return {row.state: row.n for row in await crowd.rows("SELECT state, count(*) AS n FROM leg GROUP BY state")}


_BALANCES = "SELECT account, sum(amount_minor) AS minor FROM posting GROUP BY account"
