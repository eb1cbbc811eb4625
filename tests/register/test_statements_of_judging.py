"""How many statements a judgement sends to PostgreSQL: each costs a worker more than what it reads."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
import yaml

from models.session import Database
from referral_rewards.domain.claims import fraud
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Answers, AnswersNeeded
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.judging.judgement import Judgement
from tests.installation import PROGRAM
from tests.register.crowd import INTAKE, NOW, Crowd, enrolment, life, told
from tests.register.judging import CONFIRMED
from tests.statements import Sent, counted

_S = ReferralStatus
_Act = Callable[..., Awaitable[Standing]]
#: Facts are judged once their allowance to arrive late is over.
LATER: Final = NOW + timedelta(hours=2)
HOUR: Final = timedelta(hours=1)
_EXAMPLE: Final = yaml.safe_load(PROGRAM.read_text())
#: A program that weighs signals, caps rewards and taxes them; and one that does none of it.
TERMS: Final = {
    "every signal": {"fraud": {"weights": dict.fromkeys(fraud.SIGNALS, 1), "blocked_sites": ["coupons.com"]}},
    "as the example's": {name: _EXAMPLE[name] for name in ("fraud", "limits", "tax")},
    "the least": {},
}

#: Measured; none may rise.
FIRST_MAX: Final = 4
ASSEMBLED_MAX: Final = {"every signal": 18, "as the example's": 12, "the least": 7}
UNCHANGED_MAX: Final = 4
APPROVED_MAX: Final = {"every signal": 20, "as the example's": 14, "the least": 9}
BY_CYCLE_MAX: Final = 10  # one plans the letters that the rewards are approved


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url)
    yield Crowd(database)
    await database.close()


@pytest.mark.parametrize("terms", TERMS)
async def test_a_judgement_sends_few_statements_from_the_first_to_the_approval(crowd: Crowd, terms: str) -> None:
    await crowd.publish("friends", changes=TERMS[terms])
    await crowd.live(enrolment("dexter") + life("earlier", "dexter", referee="ann", order="before"))
    await _told(crowd, life("a", "dexter", referee="brie", order="o"))
    judgement = Judgement(crowd.keys)

    await _judged(crowd, judgement.judge, LATER, _S.IN_REVIEW, FIRST_MAX)
    await _judged(crowd, judgement.assemble, LATER, _S.AWAITING_APPROVAL, ASSEMBLED_MAX[terms])
    await _judged(crowd, judgement.judge, LATER + HOUR, _S.AWAITING_APPROVAL, UNCHANGED_MAX)

    crowd.now = LATER + HOUR
    await crowd.approve("a", "paula")
    await _judged(crowd, judgement.judge, LATER + 2 * HOUR, _S.APPROVED, APPROVED_MAX[terms])
    await _judged(crowd, judgement.judge, LATER + 3 * HOUR, _S.APPROVED, UNCHANGED_MAX)


@pytest.mark.parametrize(
    ("timing", "most"),
    [("immediate", APPROVED_MAX["the least"]), ({"cycle": "monthly", "day": 15}, BY_CYCLE_MAX)],
    ids=["at once", "by a cycle"],
)
async def test_an_approval_of_two_rewards_sends_no_more_than_of_one(crowd: Crowd, timing: Any, most: int) -> None:
    reward = {"kind": "credit", "amount": "10.00"}
    payouts = {"timing": timing, "rails": {"credit": "account_credit"}}
    await crowd.publish(
        "friends", changes={"rewards": {"referrer": reward, "referee": dict(reward)}, "payouts": payouts}
    )
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="brie", order="o"))
    await crowd.approve("a", "paula")

    await _judged(crowd, Judgement(crowd.keys).judge, NOW + HOUR, _S.APPROVED, most)
    assert await crowd.held() == [1000, 1000]


async def test_a_fact_that_changes_nothing_is_judged_in_few_statements(crowd: Crowd) -> None:
    await crowd.publish("friends")
    claim = {
        "referral": "a",
        "program": "friends",
        "referrer": "dexter",
        "channel": "link",
        "referee": {"customer": "b"},
    }
    await crowd.live([*enrolment("dexter"), told("claimed", "referral.claimed", 5, claim)])
    await _told(crowd, [told("claimed again", "referral.claimed", 4, claim)])

    await _judged(crowd, Judgement(crowd.keys).judge, LATER, _S.CLAIMED, UNCHANGED_MAX)


async def _told(crowd: Crowd, events: list[dict[str, Any]]) -> None:
    async with crowd.database.transaction() as connection:
        await INTAKE.record(connection, [parse_event(event) for event in events], received_at=NOW)


async def _judged(crowd: Crowd, act: _Act, now: datetime, status: ReferralStatus, most: int) -> None:
    """Judge referral ``a`` in one transaction, after its source was asked if it has to be, and count."""
    sent, standing = await _sent(crowd, act, now)
    assert standing.status is status
    assert len(sent.statements) <= most, f"{len(sent.statements)} statements:\n{sent}"


async def _sent(crowd: Crowd, act: _Act, now: datetime) -> tuple[Sent, Standing]:
    answers = None
    while True:
        try:
            with counted() as sent:
                async with crowd.database.transaction() as connection:
                    return sent, await act(connection, "a", now, answers)
        except AnswersNeeded as needed:
            answers = Answers(needed.question, CONFIRMED)
