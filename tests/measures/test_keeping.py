"""The sums that are kept of the measures equal what the register comes to, whenever they are read (SPEC §8)."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.measures.figures import Figure, Stage
from referral_rewards.domain.measures.life import Money
from referral_rewards.domain.measures.measures import Days, Measures, Revenue, RewardCost
from referral_rewards.register.measures import keeping, sums
from referral_rewards.register.measures.sums import Asked
from tests.desk import Desk, days_ago, event
from tests.money import RECOVERED, stand

ALWAYS = Days()


async def _read(desk: Desk, days: Days = ALWAYS, program: str = "acme-friends") -> Measures:
    async with desk.database.reading() as connection:
        return (await sums.measures(connection, Asked(program, days), datetime.now(UTC))).measures


async def _recomputed(desk: Desk, days: Days = ALWAYS) -> Measures:
    """The measures of every referral that there is, from the register alone."""
    async with desk.database.reading() as connection:
        names = (await connection.execute(text("SELECT id FROM referral ORDER BY id"))).scalars().all()
        owned = await keeping.derived(connection, names, datetime.now(UTC))
    return Measures.over([each.its for each in owned], days)


async def _catch_up(desk: Desk) -> None:
    while await desk.database.write(keeping.catch_up, datetime.now(UTC)):
        pass


async def _same(desk: Desk) -> Measures:
    """The measures, once it is sure that the sums say the same as they, before they are brought up to date and after.

    Also over a week that cuts through the events.
    """
    week = Days(days_ago(41).date(), days_ago(34).date())
    measured, of_the_week = await _recomputed(desk), await _recomputed(desk, week)
    assert (await _read(desk), await _read(desk, week)) == (measured, of_the_week)
    await _catch_up(desk)
    assert (await _read(desk), await _read(desk, week)) == (measured, of_the_week)
    return measured


async def _execute(desk: Desk, statement: str, **asked: object) -> None:
    async with desk.database.transaction() as connection:
        await connection.execute(text(statement), asked)


async def test_a_referral_counts_from_its_beginning_to_its_reward(desk: Desk) -> None:
    assert (await _same(desk)).funnel[Stage.BEGAN] == 0

    await desk.referral("r1")
    waiting = await _same(desk)
    assert (waiting.claims_created, waiting.waiting, waiting.claims_approved) == (1, 1, 0)
    assert waiting.referred_revenue == (Revenue("USD", 0, 8_000, 8_000, 0),)

    assert (await desk.decide("r1", "approve")).status_code == 201
    await desk.judge("r1")
    approved = await _same(desk)
    assert (approved.claims_created, approved.waiting, approved.claims_approved) == (1, 0, 1)
    assert [(each.kind, each.payable_minor) for each in approved.reward_cost] == [("credit", 3_300)]

    await stand(desk, "r1")
    await _execute(desk, "UPDATE referral SET status = 'rewarded', rewarded_at = now() WHERE id = 'r1'")
    paid = await _same(desk)
    assert paid.reward_cost == (RewardCost("USD", "credit", 2_500, 0, 800),)
    assert paid.payout_time[Figure.CONVERSION_TO_SETTLED].n == 1
    assert paid.referred_revenue == (Revenue("USD", 8_000, 8_000, 8_000, 0),)

    await _execute(desk, RECOVERED, kind="reverse", recovered=0, referral="r1", role="referrer")
    await _execute(desk, "UPDATE clawback SET recovered_minor = 700, state = 'partly_reversed'")
    assert (await _same(desk)).reward_cost[0] == RewardCost("USD", "credit", 2_500, 700, 800)


async def test_a_refund_lowers_the_revenue_of_the_day_of_the_order(desk: Desk) -> None:
    await desk.referral("r1")
    refund = {"order": "o-r1", "kind": "refund", "amount": "30.00"}
    await desk.tell([event("back", "conversion.reversed", days_ago(20), refund)])
    await desk.judge("r1")

    measured = await _same(desk)

    assert measured.referred_revenue == (Revenue("USD", 0, 5_000, 8_000, 3_000),)
    assert measured.refund_rate == 1.0
    assert measured.by_flag == {Flag.PARTIAL_REFUND: 1}


async def test_an_order_that_was_reversed_as_a_whole_has_converted(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.tell([event("back", "conversion.reversed", days_ago(20), {"order": "o-r1", "kind": "refund"})])
    await desk.judge("r1")

    measured = await _same(desk)

    assert measured.referred_revenue == (Revenue("USD", 0, 0, 8_000, 8_000),)
    assert (measured.refund_rate, measured.funnel[Stage.CONVERTED]) == (1.0, 1)


async def test_a_claim_is_denied_by_a_decision_or_by_a_rule(desk: Desk) -> None:
    await desk.referral("r1")
    assert (await desk.decide("r1", "deny")).status_code == 201
    await desk.judge("r1")
    await desk.tell(
        [event("gone", "referrer.suspended", days_ago(45), {"referrer": "dexter", "program": "acme-friends"})]
    )
    await desk.referral("r2")

    measured = await _same(desk)

    assert (measured.denied_by_decision, measured.denied_by_rule, measured.claims_created) == (1, 1, 2)
    assert measured.payout_time[Figure.DUE_TO_DECIDED].n == 1


async def test_a_duplicate_would_have_cost_both_rewards(desk: Desk) -> None:
    await desk.referral("r1")
    who = {"customer": "c-r1", "email": "r1@example.com"}
    sent = {"referral": "r2", "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    await desk.tell([
        event("r2-1", "referral.sent", days_ago(59), sent),
        event("r2-2", "referral.claimed", days_ago(49), {"referral": "r2", "referee": who, "consent": True}),
    ])  # fmt: skip
    await desk.judge("r2")

    measured = await _same(desk)

    assert measured.duplicate_claims == 1
    assert measured.duplicates_would_have_cost == (Money("USD", 3_300),)


@pytest.mark.parametrize(("by", "answers"), [("referrer", {4: 1}), ("referee", {})])
async def test_the_referrers_latest_answer_counts(desk: Desk, by: str, answers: dict[int, int]) -> None:
    await desk.referral("r1")
    await desk.tell([
        event("s1", "satisfaction.rated", days_ago(2), {"referral": "r1", "by": by, "score": 2}),
        event("s2", "satisfaction.rated", days_ago(1), {"referral": "r1", "by": by, "score": 4}),
    ])  # fmt: skip
    await desk.judge("r1")

    assert (await _same(desk)).referrer_satisfaction.scores == answers


async def test_another_program_is_apart(desk: Desk) -> None:
    await desk.publish_another()
    await desk.referral("r1")
    await _catch_up(desk)

    assert await _read(desk, program="other") == Measures.over([], ALWAYS)


async def test_what_is_derived_anew_is_the_same(desk: Desk) -> None:
    await desk.referral("r1")
    await _catch_up(desk)
    before = await _read(desk)

    await desk.database.write(keeping.forget_all)

    assert await _read(desk) == before
    await _catch_up(desk)
    assert await _read(desk) == before


async def test_no_note_is_lost_that_commits_while_others_are_taken(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.database.transaction() as slow:
        await slow.execute(
            text("UPDATE referral SET judged_version = judged_version + 1, net_minor = 1 WHERE id = 'r1'")
        )
        await _catch_up(desk)

    async with desk.database.reading() as connection:
        noted = (await connection.execute(text("SELECT count(*) FROM to_measure"))).scalar_one()
    assert noted == 1


async def test_more_than_can_be_corrected_for_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "CORRECTED_MAX", 1)
    await desk.referral("r1")
    await desk.referral("r2")

    async with desk.database.reading() as connection:
        read = await sums.measures(connection, Asked("acme-friends"), datetime.now(UTC))

    assert (read.behind, read.measures.claims_created) == (1, 1)
