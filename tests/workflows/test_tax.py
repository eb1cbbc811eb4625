"""A reward that waits for a tax form, lived through: a timer of its referral ends the wait, and less is sent."""

from datetime import UTC, date, datetime, timedelta

from temporalio.testing import WorkflowEnvironment

from referral_rewards.reporting.books import checking
from tests.chaos.cluster import until
from tests.installation import PROGRAM
from tests.workflows.scenes import before_its_approver, days_ago, payouts, quiet, scene, sql

#: The example terms, by which a referrer's first reward alone reaches the threshold.
TERMS = (
    PROGRAM.read_text()
    .replace('{from_rewarded: 0, amount: "25.00"}', '{from_rewarded: 0, amount: "2500.00"}')
    .replace('amount: "1000.00", period: P1Y', 'amount: "9000.00", period: P1Y')
    .replace('four_eyes_from: "500.00"', 'four_eyes_from: "9000.00"')
)


async def test_a_reward_waits_until_the_form_is_valid_and_the_other_side_is_paid_meanwhile(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with scene(database_url, temporal_env, TERMS) as life, life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1")

        async def half_paid() -> bool:
            await life.relay.deliver()
            legs = await sql(life, "SELECT role, state FROM leg ORDER BY role")
            return legs == [("referee", "paid"), ("referrer", "tax_hold")]

        await until(half_paid)

        today = datetime.now(UTC).date()
        valid_from = today + timedelta(days=3)
        said = {"payee": "dexter", "form": "W-9", "valid_from": valid_from.isoformat(), "withholding_percent": "24"}
        await life.tell("payee.tax_form_filed", days_ago(0), **said)
        row = await quiet(life, "r1")
        assert (row.status, row.wake_at.date()) == ("paying", min(valid_from, date(today.year + 1, 1, 1)))

        await life.pass_time("r1", timedelta(days=4))
        assert (await life.settled("r1", among=frozenset({"rewarded"}))).wake_at is not None
        paid = {role: (payout.state, payout.amount_minor) for role, payout in (await payouts(life, "r1")).items()}
        assert paid == {"referee": ("settled", 8_00), "referrer": ("settled", 1900_00)}
        assert await life.money() == {
            "expense:acme-friends": 2508_00,
            "credit:dexter": -1900_00,
            "credit:c-r1": -8_00,
            "withholding:us": -600_00,
        }
        async with life.database.transaction() as connection:
            assert [each async for each in checking.problems(connection)] == []
