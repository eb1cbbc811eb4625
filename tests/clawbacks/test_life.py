"""What becomes of a paid reward whose ground falls away, from the fact to the books, on real servers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.exc import IntegrityError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.books import checking
from referral_rewards.reporting.referrals.everything import showing
from referral_rewards.reporting.referrals.letters import taken_of
from referral_rewards.reporting.referrals.own_status import own_status
from tests.clawbacks.taking import act, cases, clawbacks, rewarded, takes, told
from tests.installation import Installation
from tests.patience import PATIENCE_SECONDS
from tests.workflows.scenes import books, quiet, scene, sql

A = MoneyAct


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life, life.workers():
        await rewarded(life, "r1")
        yield life
        async with life.database.transaction() as connection:
            assert [each async for each in checking.problems(connection)] == []


async def done(life: Installation, referral: str = "r1") -> None:
    """Until no clawback is under way, and the referral has dealt with what came of it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await life.relay.deliver()
            states = await sql(life, "SELECT 1 FROM clawback WHERE state IN ('approved', 'reversing', 'unknown')")
            if not states:
                break
            await asyncio.sleep(0.05)
    await quiet(life, referral)


async def test_a_refunded_reward_is_taken_back_whole_and_its_order_can_be_rewarded_anew(life: Installation) -> None:
    await told(life, "conversion.reversed", kind="refund")
    found = await cases(life)
    assert {role: [(c.state, c.proposed_minor) for c in its] for role, its in found.items()} == {
        "referrer": [("open", 2500)],
        "referee": [("open", 800)],
    }
    await act(life, A.REVERSE_CLAWBACK, found["referrer"][0].id, 2500)
    await done(life)
    assert (await life.row("r1")).status == "rewarded"
    await act(life, A.REVERSE_CLAWBACK, found["referee"][0].id, 800)
    await done(life)
    assert await clawbacks(life) == [("reverse", "reversed", 2500, 2500), ("reverse", "reversed", 800, 800)]
    assert (await life.row("r1")).status == "clawed_back"
    assert await life.money() == {}
    assert await sql(life, "SELECT DISTINCT state FROM leg") == [("clawed_back",)]
    assert await sql(life, "SELECT rewards, amount_minor FROM held_total WHERE amount_minor <> 0") == []
    assert await sql(life, "SELECT 1 FROM queue_entry") == []
    told_of_it = await sql(life, "SELECT recipient FROM notice WHERE template = 'clawed_back' ORDER BY 1")
    assert told_of_it == [("c-r1",), ("dexter",)]


async def test_after_the_watch_a_case_is_decided_too_and_of_what_is_given_up_nobody_is_told(life: Installation) -> None:
    await told(life, "conversion.reversed", kind="refund")
    found = await cases(life)
    await sql(life, "UPDATE referral SET closed_at = now(), closed_version = facts_version, wake_at = NULL")
    await act(life, A.WRITE_OFF_CLAWBACK, found["referrer"][0].id, 2500)
    await act(life, A.REVERSE_CLAWBACK, found["referee"][0].id, 800)
    await done(life)
    # What was written off still stands: the referral is not taken back, and its order is not free.
    assert (await life.row("r1")).status == "rewarded"
    assert await life.money() == {"credit:dexter": -2500, "loss:acme-friends": 2500}
    assert await sql(life, "SELECT recipient FROM notice WHERE template = 'clawed_back'") == [("c-r1",)]


async def test_what_was_taken_is_one_number_and_what_was_written_off_still_stands(life: Installation) -> None:
    await told(life, "conversion.reversed", kind="refund")
    found = await cases(life)
    await act(life, A.REVERSE_CLAWBACK, found["referrer"][0].id, 1000)
    await done(life)
    await act(life, A.WRITE_OFF_CLAWBACK, found["referrer"][0].id, 1500)
    await act(life, A.REVERSE_CLAWBACK, found["referee"][0].id, 800)
    await done(life)
    assert await life.money() == {"loss:acme-friends": 1500, "credit:dexter": -1500}
    async with life.database.transaction() as connection:
        shown = await showing(connection, "r1", life.keys)
        case = await reporting.case(connection, found["referrer"][0].id, life.keys)
    assert taken_of(shown, Side.REFERRER) == [
        "Of your reward of 25.00 USD, 10.00 USD was taken back; 15.00 USD remain yours."
    ]
    own = own_status(shown, Side.REFERRER)
    assert [each.state for each in own.rewards] == ["paid; 10.00 USD taken back, 15.00 USD remain yours"]
    assert own.why.endswith("10.00 USD of it was taken back.")
    assert (case.recovered_minor, case.written_off_minor, case.room_minor) == (1000, 1500, 0)
    letters = await sql(life, "SELECT recipient FROM notice WHERE template = 'clawed_back' ORDER BY 1")
    assert letters == [("c-r1",), ("dexter",)]
    # Caps and budget still count it, and the order has no second reward of the referrer's.
    assert (await life.row("r1")).status == "rewarded"
    assert await sql(life, "SELECT state FROM leg ORDER BY role") == [("clawed_back",), ("paid",)]
    assert await sql(life, "SELECT rewards, amount_minor FROM held_total ORDER BY referrer") == [(1, 2500), (1, 2500)]
    again = """
        INSERT INTO leg SELECT (jsonb_populate_record(
            l, jsonb_build_object('id', gen_random_uuid(), 'referral_id', 'r9', 'state', 'reserved')
        )).* FROM leg l WHERE l.role = :role
    """
    await sql(life, again, role="referee")
    with pytest.raises(IntegrityError, match="uq_leg_live"):
        await sql(life, again, role="referrer")
    await sql(life, "DELETE FROM leg WHERE referral_id = 'r9'")


async def test_parts_of_a_refund_are_proposed_once_each_and_flat_amounts_stay(life: Installation) -> None:
    await told(life, "conversion.reversed", kind="refund", amount="10.00")
    await told(life, "conversion.reversed", kind="refund", amount="10.00")
    found = await cases(life)
    assert [(c.state, c.proposed_minor) for c in found["referee"]] == [("open", 100)] * 2
    assert [(c.state, c.proposed_minor) for c in found["referrer"]] == [("dismissed", 0)] * 2
    await act(life, A.REVERSE_CLAWBACK, found["referee"][0].id, 100)
    await done(life)
    await act(life, A.WRITE_OFF_CLAWBACK, found["referee"][1].id, 100)
    await told(life, "conversion.reversed", kind="refund", amount="20.00")
    found = await cases(life)
    assert [(c.state, c.proposed_minor) for c in found["referrer"]][2:] == [("open", 2500)]
    assert [(c.state, c.proposed_minor) for c in found["referee"]] == [
        *[("decided", 100)] * 2,
        ("open", 600),
    ]
    assert (await life.row("r1")).status == "rewarded"
    assert await life.money() == {
        "expense:acme-friends": 3100,
        "loss:acme-friends": 100,
        "credit:dexter": -2500,
        "credit:c-r1": -700,
    }


async def test_a_dispute_freezes_a_case_and_a_won_one_dismisses_it(life: Installation) -> None:
    await told(life, "conversion.dispute_opened")
    (frozen,) = (await cases(life))["referrer"]
    assert (frozen.state, frozen.proposed_minor) == ("frozen", None)
    assert (await takes(life, frozen.id))[0] == {"dismiss"}
    await told(life, "conversion.dispute_closed", outcome="won")
    (over,) = (await cases(life))["referrer"]
    assert (over.state, over.why) == ("dismissed", "a dispute of order o-r1 was opened: the dispute was won")
    assert await clawbacks(life) == []
    assert await life.money() == books("r1")


async def test_an_inquiry_that_came_to_nothing_dismisses_its_case_too(life: Installation) -> None:
    await told(life, "conversion.dispute_opened", dispute="d1")
    await told(life, "conversion.dispute_closed", dispute="d1", outcome="inquiry_closed")
    found = await cases(life)
    assert {(case.state, case.proposed_minor) for its in found.values() for case in its} == {("dismissed", None)}
    assert await sql(life, "SELECT 1 FROM queue_entry") == []


async def test_a_lost_dispute_opens_its_case_and_its_reversal_no_second_one(life: Installation) -> None:
    await told(life, "conversion.dispute_opened")
    await told(life, "conversion.dispute_closed", outcome="lost")
    opened = {"referrer": [("open", 2500)], "referee": [("open", 800)]}
    found = await cases(life)
    assert {role: [(c.state, c.proposed_minor) for c in its] for role, its in found.items()} == opened
    assert (await takes(life, found["referrer"][0].id))[0] == {"reverse", "offset", "write_off", "dismiss"}
    await told(life, "conversion.reversed", kind="chargeback_lost")
    found = await cases(life)
    assert {role: [(c.state, c.proposed_minor) for c in its] for role, its in found.items()} == opened


async def test_what_is_owed_is_kept_from_the_next_payouts_until_it_is_whole(life: Installation) -> None:
    await told(life, "conversion.reversed", kind="refund")
    (to_dexter,) = (await cases(life))["referrer"]
    await act(life, A.OFFSET_CLAWBACK, to_dexter.id, 2500)
    assert await clawbacks(life) == [("offset", "offsetting", 2500, 0)]
    assert (await life.money())["recoverable:dexter"] == 2500
    await rewarded(life, "r2")
    await quiet(life, "r1")
    assert await clawbacks(life) == [("offset", "offset", 2500, 2500)]
    assert [(row.amount_minor, row.state) for row in await _payouts(life, "r2")] == [(800, "settled"), (0, "settled")]
    money = await life.money()
    assert money == {
        "expense:acme-friends": 3300 + 800,
        "credit:dexter": -2500,
        "credit:c-r1": -800,
        "credit:c-r2": -800,
    }
    assert await sql(life, "SELECT role, state FROM leg WHERE referral_id = 'r1' ORDER BY role") == [
        ("referee", "paid"),
        ("referrer", "clawed_back"),
    ]


async def test_a_part_that_is_owed_lowers_the_next_payout_by_it(life: Installation) -> None:
    await told(life, "conversion.reversed", kind="refund")
    (to_dexter,) = (await cases(life))["referrer"]
    await act(life, A.OFFSET_CLAWBACK, to_dexter.id, 700)
    await rewarded(life, "r2")
    assert [row.amount_minor for row in await _payouts(life, "r2")] == [800, 1800]
    assert await clawbacks(life) == [("offset", "offset", 700, 700)]
    # What was proposed beyond it still waits for somebody.
    assert (await cases(life))["referrer"][0].state == "open"
    assert await takes(life, to_dexter.id) == ({"reverse", "offset", "write_off", "dismiss", "return"}, 1800)


async def _payouts(life: Installation, referral: str) -> list[object]:
    return await sql(
        life,
        "SELECT p.amount_minor, p.state FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id"
        " JOIN leg l ON l.id = pl.leg_id WHERE l.referral_id = :referral ORDER BY l.role",
        referral=referral,
    )
