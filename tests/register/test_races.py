"""Approvals that truly race: many connections to a real database, and no more rewarded than the terms allow."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.session import Database
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.register.decisions.chain import Decision
from tests.patience import PATIENCE_SECONDS
from tests.register.crowd import CONNECTIONS, Crowd, enrolment, life
from tests.seeds import partly


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url, pool_size=CONNECTIONS, patience_seconds=PATIENCE_SECONDS)
    yield Crowd(database)
    await database.close()


ROUNDS = range(6)


@pytest.mark.parametrize("other_program", partly(["friends", "partners"], suite=["partners"]))
async def test_of_two_claims_on_one_order_approved_at_once_one_wins(crowd: Crowd, other_program: str) -> None:
    await crowd.publish("friends")
    await crowd.publish("partners")
    lives = [*enrolment("dexter"), *enrolment("mia", other_program)]
    for n in ROUNDS:
        lives += life(f"a{n}", "dexter", referee=f"brie{n}", order=f"o{n}")
        lives += life(f"b{n}", "mia", referee=f"brie{n}", program=other_program)
    await crowd.live(lives)
    assert await crowd.flagged("disputed_attribution", 1000) == 2 * len(ROUNDS)

    await crowd.approve_together([f"{side}{n}" for n in ROUNDS for side in "ab"])

    live = await crowd.rows("SELECT order_key FROM leg WHERE state <> 'cancelled' ORDER BY order_key")
    assert Counter(row.order_key for row in live) == Counter(f"o{n}" for n in ROUNDS)
    assert await crowd.outcomes() == {("approved", None): len(ROUNDS), ("denied", "attribution_lost"): len(ROUNDS)}


async def test_one_order_claimed_twice_by_one_referrer_and_approved_at_once_is_rewarded_once(crowd: Crowd) -> None:
    await crowd.publish("friends")
    lives = enrolment("dexter")
    for n in ROUNDS:
        lives += life(f"a{n}", "dexter", referee=f"brie{n}", order=f"o{n}")
        lives += life(f"b{n}", "dexter", referee=f"brie{n}")
    await crowd.live(lives)
    assert await crowd.flagged("duplicate_claim", 1000) == len(ROUNDS)

    # The earlier needs nobody besides its usual approver; who approves the later overrides the rules.
    for n, user in product(ROUNDS, ("paula", "fiona")):
        await crowd.approve(f"b{n}", user)
    await crowd.approve_together([f"a{n}" for n in ROUNDS])

    live = await crowd.rows("SELECT order_key FROM leg WHERE state <> 'cancelled' ORDER BY order_key")
    assert Counter(row.order_key for row in live) == Counter(f"o{n}" for n in ROUNDS)
    assert await crowd.outcomes() == {("approved", None): len(ROUNDS), ("awaiting_approval", None): len(ROUNDS)}
    effects = await crowd.effects()
    assert effects.keys() <= {"applied", "void"}
    assert effects.total() == 3 * len(ROUNDS)


@pytest.mark.parametrize(
    ("four_eyes_from", "needed"), [(None, 1), ("5.00", 2)], ids=["one person suffices", "it takes two"]
)
async def test_of_sixteen_who_approve_one_claim_at_once_so_many_sign_as_it_needs(
    crowd: Crowd, four_eyes_from: str | None, needed: int
) -> None:
    """Everybody else is told who has approved it, and nothing more is paid than once."""
    await crowd.publish("friends", four_eyes_from=four_eyes_from)
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="brie", order="o"))

    answers = await crowd.press_together("a", [f"p{n}" for n in range(CONNECTIONS)])

    signed = {answer.user for answer, repeated in answers if isinstance(answer, Decision) and not repeated}
    told = [answer for answer, _ in answers if isinstance(answer, DecisionRefused)]
    assert (len(signed), len(told)) == (needed, CONNECTIONS - needed)
    assert {each.rule for each in told} == {"already_approved"}
    assert all(name in str(each) for each in told for name in signed)
    assert {row.username for row in await crowd.rows("SELECT username FROM decision")} == signed
    await crowd.judge_woken()
    assert await crowd.held() == [1000]


async def test_one_decision_sent_sixteen_times_at_once_is_recorded_once(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="brie", order="o"))

    answers = await crowd.press_together("a", ["paula"] * CONNECTIONS)

    assert Counter(repeated for _, repeated in answers) == {False: 1, True: CONNECTIONS - 1}
    assert len({answer.id for answer, _ in answers if isinstance(answer, Decision)}) == 1
    assert len(await crowd.rows("SELECT 1 FROM decision")) == 1


async def test_of_those_who_approve_and_deny_at_once_every_one_is_answered_by_what_stands(crowd: Crowd) -> None:
    """Whoever denies before the money goes has the last word; who approves after that is told."""
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="brie", order="o"))

    kinds = [DecisionKind.APPROVE, DecisionKind.DENY] * (CONNECTIONS // 2)
    answers = await crowd.press_together("a", [f"p{n}" for n in range(CONNECTIONS)], kinds)

    signed = Counter(answer.kind for answer, _ in answers if isinstance(answer, Decision))
    assert signed[DecisionKind.DENY] == 1
    assert signed[DecisionKind.APPROVE] <= 1
    told = {answer.rule for answer, _ in answers if isinstance(answer, DecisionRefused)}
    assert "already_denied" in told
    assert told <= {"already_denied", "already_approved"}
    await crowd.judge_woken()
    assert await crowd.held() == []
    assert await crowd.outcomes() == {("denied", "denied_by_decision"): 1}


async def test_the_database_itself_refuses_a_second_live_leg(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="brie", order="o"))
    await crowd.approve_together(["a"])
    with pytest.raises(IntegrityError, match="uq_leg_live"):
        await _copy_leg(crowd, referral="another", state="reserved")
    await _copy_leg(crowd, referral="another", state="cancelled")
    assert await crowd.held() == [1000]


async def _copy_leg(crowd: Crowd, *, referral: str, state: str) -> None:
    """Puts the one leg there is on record once more, as whoever holds no lock at all would."""
    statement = text("""
    INSERT INTO leg
    SELECT (jsonb_populate_record(l, CAST(:changed AS jsonb))).* FROM leg l WHERE referral_id = 'a'
    """)
    changed = {"id": str(uuid4()), "referral_id": referral, "state": state}
    async with crowd.database.transaction() as connection:
        await connection.execute(statement, {"changed": json.dumps(changed)})


@pytest.mark.chaos
async def test_of_200_approvals_at_once_no_more_are_held_than_the_cap_counts(crowd: Crowd) -> None:
    await _live_together(crowd, 200, per_referrer={"rewards": 20, "period": "P1Y"})

    await crowd.approve_together([f"r{n}" for n in range(200)])

    assert await crowd.held() == [1000] * 20
    assert await crowd.outcomes() == {("approved", None): 20, ("denied", "cap_reached"): 180}
    assert await crowd.effects() == {"applied": 20, "void": 180}


LIMITS: dict[str, dict[str, Any]] = {
    "the referrer's cap": {"per_referrer": {"amount": "205.00", "period": "P1Y"}},
    "the program's budget": {"budget": "205.00"},
}


@pytest.mark.parametrize("limit", partly(LIMITS, suite=["the program's budget"]))
async def test_of_many_approvals_at_once_the_sum_held_stays_within(crowd: Crowd, limit: str) -> None:
    """Twenty rewards fit. Half of one is left over, an amount that nobody has approved: so people are asked again."""
    await _live_together(crowd, 50, **LIMITS[limit])

    await crowd.approve_together([f"r{n}" for n in range(50)])

    assert await crowd.held() == [1000] * 20
    assert await crowd.effects() == {"applied": 20, "void": 30}
    assert await crowd.flagged("cap_limited", 500) == 30
    waiting = [row.id for row in await crowd.standing() if row.status == "awaiting_approval"]

    await crowd.approve_together(waiting)

    assert await crowd.held() == [500] + [1000] * 20
    assert await crowd.effects() == {"applied": 21, "void": 30 + 29}
    if "budget" in LIMITS[limit]:
        assert await crowd.flagged("budget_exhausted", None) == 29
    else:
        assert await crowd.outcomes() == {("approved", None): 21, ("denied", "cap_reached"): 29}


async def _live_together(crowd: Crowd, size: int, **limits: Any) -> None:
    """Referrals r0, r1 … of one referrer, all of them waiting for a person."""
    await crowd.publish("friends", **limits)
    lives = enrolment("dexter")
    for n in range(size):
        lives += life(f"r{n}", "dexter", referee=f"brie{n}", order=f"o{n}")
    await crowd.live(lives)
