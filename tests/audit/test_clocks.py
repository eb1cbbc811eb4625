"""Whatever the clocks of the processes say, within what we let them differ: an audit of what they did finds nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.inquiries import Inquiries
from referral_rewards.audit.evidence import seen
from referral_rewards.audit.findings import Part
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.referrals.inquiries import AnswersNeeded
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.payouts import grounds
from referral_rewards.sources.http import RegisterSource
from tests.audit.settled import audited, pay_all, rows, settle
from tests.audit.test_money import found
from tests.clocks import ahead
from tests.desk import Desk, days_ago, desk_after, event
from tests.snapshots import Snapshots

#: Where each process reads its clock.
_CLOCKS = {
    "the API's": "referral_rewards.api.recording.datetime",
    "the clock of who judges": "tests.desk.datetime",
    "the clock of who pays": "tests.audit.settled.datetime",
    "the clock of who asks sources": "activities.inquiries.datetime",
}


async def _approved(desk: Desk) -> None:
    await desk.referral("r1")
    assert (await desk.decide("r1", "approve")).status_code == 201
    assert await desk.judge("r1") == "approved"


@pytest.fixture
async def approved(snapshots: Snapshots) -> AsyncIterator[Desk]:
    """A desk where a referral was approved and its rewards are not paid yet."""
    async with desk_after(snapshots, _approved) as desk:
        yield desk


@pytest.mark.parametrize(
    ("position", "by", "sight", "is_seen"),
    [
        pytest.param(9, 10, (), True, id="before it, where nobody noted what it saw"),
        pytest.param(10, 10, (), False, id="its own, where nobody noted what it saw"),
        pytest.param(9, 10, (11,), True, id="before it, and committed"),
        pytest.param(9, 10, (11, 9), False, id="before it, and under way"),
        pytest.param(11, 10, (12,), True, id="begun after it, and committed while it waited"),
        pytest.param(11, 10, (13, 11), False, id="begun after it, and under way"),
        pytest.param(12, 10, (12,), False, id="not begun yet"),
    ],
)
def test_a_transaction_saw_what_was_committed_by_then(
    position: int, by: int, sight: tuple[int, ...], is_seen: bool
) -> None:
    assert seen(position, by, sight) is is_seen


async def test_clocks_that_differ_by_seconds_or_by_as_much_as_they_may_are_no_finding(desk: Desk) -> None:
    for number, (whose, seconds) in enumerate((clock, each) for clock in _CLOCKS for each in (20, -20, 110, -110)):
        with pytest.MonkeyPatch.context() as its:
            its.setattr(_CLOCKS[whose], ahead(timedelta(seconds=seconds)))
            await settle(desk, f"r{number}")
    assert [(each.reward.referral, each.findings) for each in await audited(desk) if each.findings] == []
    assert await found(desk) == []


async def test_what_was_told_while_it_was_paid_is_not_held_against_the_payment(approved: Desk) -> None:
    """A transaction that began before the payment's, and commits after it: the payment could not see it."""
    refund = event("late", "conversion.reversed", days_ago(1), {"order": "o-r1", "kind": "refund"})
    async with approved.database.transaction() as under_way:
        await under_way.execute(text("SELECT pg_current_xact_id()"))
        await pay_all(approved)
        await approved.parts.intake.record(under_way, [parse_event(refund)], received_at=datetime.now(UTC))
    await approved.judge("r1")
    assert [each.findings for each in await audited(approved)] == [(), ()]
    assert await found(approved) == []

    await rows(approved, "UPDATE payout_step SET sight = '{}'")
    assert Part.QUALIFYING_EVENT in {each.part for one in await audited(approved) for each in one.findings}


@pytest.mark.parametrize(("barred", "is_found"), [("before", True), ("after", False)])
async def test_who_was_barred_is_told_by_transactions(approved: Desk, barred: str, is_found: bool) -> None:
    """To the second, whatever the clock says with which it was done."""
    bar = "UPDATE app_user SET barred_at = CAST(:at AS timestamptz) WHERE name = 'paula'"
    async with approved.database.transaction() as connection:
        if barred == "before":
            await connection.execute(text(bar), {"at": datetime.now(UTC) + timedelta(seconds=20)})
            await connection.execute(text("ALTER TABLE app_user DISABLE TRIGGER app_user_barred"))
            await connection.execute(text("UPDATE app_user SET barred_at = NULL"))
    await pay_all(approved)
    async with approved.database.transaction() as connection:
        if barred == "after":
            await connection.execute(text(bar), {"at": datetime.now(UTC) - timedelta(seconds=20)})
    said = [each.what for each in await found(approved)]
    assert said == (["paula, who approved it, was barred before it was sent"] * 2 if is_found else [])


async def test_who_is_barred_in_the_moment_after_that_was_read_is_not_held_against_the_payment(
    approved: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payment goes on, for it read that she may. What it notes to have seen is what it read."""
    load = grounds.load

    async def and_then_barred(*given: Any) -> grounds.Grounds:
        read = await load(*given)
        async with approved.database.transaction() as other:
            await other.execute(
                text("UPDATE app_user SET barred_at = now() WHERE name = 'paula' AND barred_at IS NULL")
            )
        return read

    monkeypatch.setattr(grounds, "load", and_then_barred)
    await pay_all(approved)
    paid = await rows(approved, "SELECT state FROM payout WHERE first_sent_at IS NOT NULL")
    assert [row.state for row in paid] == ["settled"], "the second payment reads that she was barred"
    assert await found(approved) == []


async def test_a_reward_that_was_reserved_while_a_claim_was_assembled_is_not_held_against_its_count(desk: Desk) -> None:
    """What tiers count: the reservation's transaction began before that of the claim, and was committed after it."""
    await desk.referral("r1")
    assert (await desk.decide("r1", "approve")).status_code == 201
    async with desk.database.transaction() as under_way:
        await _reserved(desk, under_way, "r1")
        await desk.referral("r2")
    assert (await desk.decide("r2", "approve")).status_code == 201
    assert await desk.judge("r2") == "approved"
    await pay_all(desk)
    assert [each.findings for each in await audited(desk)] == [()] * 4
    assert await found(desk) == []

    await rows(desk, "UPDATE reward_claim SET sight = '{}'")
    said = [each.what for one in await audited(desk) for each in one.findings]
    assert said, "the numbers of transactions alone say that it was counted"


async def _reserved(desk: Desk, connection: AsyncConnection, referral: str) -> None:
    """Judges an approved referral in a transaction that goes on."""
    judgement, now = Judgement(desk.parts.keys), datetime.now(UTC)
    asking = Inquiries(desk.database, desk.parts.intake, {"register": RegisterSource()})
    try:
        standing = await judgement.judge(connection, referral, now, None)
    except AnswersNeeded as needed:
        answers = await asking.ask(needed.question, needed.moment)
        standing = await judgement.judge(connection, referral, now, answers)
    assert standing.status == "approved"
