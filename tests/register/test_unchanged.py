"""A wake-up that brings no news is answered from the row, with what a judgement would have said."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest

from models.session import Database
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.judging.unchanged import unchanged
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.judging import judgement
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.referrals import rows as referrals
from tests.register.crowd import INTAKE, NOW, Crowd, enrolment, life, told
from tests.register.judging import judged
from tests.statements import counted

_S = ReferralStatus
HOUR: Final = timedelta(hours=1)
SOON: Final = NOW + timedelta(minutes=5)

_WHO = {"customer": "c-brie", "email": "brie@example.com"}
_NAMED = {"referral": "a", "program": "friends", "referrer": "dexter", "channel": "email"}
_SENT = told("sent", "referral.sent", 20, {**_NAMED, "referee": {"email": "brie@example.com"}})
_CLAIMED = told("claimed", "referral.claimed", 15, {"referral": "a", "referee": _WHO, "consent": True})
_BOUGHT = told(
    "bought",
    "conversion.recorded",
    5,
    {"order": "o", "kind": "purchase", "customer": _WHO, "amount": "80.00", "currency": "USD"},
)
#: The facts that lead to each status.
STANDING: Final[dict[ReferralStatus, list[dict[str, Any]]]] = {
    _S.INVITED: [_SENT],
    _S.PURCHASED_UNCLAIMED: [_SENT, _BOUGHT],
    _S.CLAIMED: [_SENT, _CLAIMED],
    _S.IN_RETURN_PERIOD: [_SENT, _CLAIMED, _BOUGHT],
}


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url)
    yield Crowd(database)
    await database.close()


@pytest.mark.parametrize("status", STANDING)
async def test_without_news_the_row_says_what_a_judgement_would(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, status: ReferralStatus
) -> None:
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter") + STANDING[status])
    before = (await crowd.standing(), await crowd.rows("SELECT * FROM referral_step ORDER BY id"))

    answered = await _answered(crowd)
    assert answered.status is status
    assert answered == await _judged_in_full(crowd, monkeypatch)
    assert (await crowd.standing(), await crowd.rows("SELECT * FROM referral_step ORDER BY id")) == before


async def test_what_is_told_after_that_is_judged(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live([*enrolment("dexter"), _SENT])
    assert (await _answered(crowd)).status is _S.INVITED
    async with crowd.database.transaction() as connection:
        await INTAKE.record(connection, [parse_event(_CLAIMED)], received_at=NOW)
    assert (await judged(crowd.database, Judgement(crowd.keys), "a", SOON)).status is _S.CLAIMED


async def test_from_the_claim_on_each_wake_up_is_judged(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="brie", order="o"))
    async with crowd.database.transaction() as connection:
        row = await referrals.row(connection, "a")
    assert row is not None
    assert row.status is _S.AWAITING_APPROVAL
    assert unchanged(row, SOON) is None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"wake_at": None}, True),
        ({"judged_version": 0}, False),
        ({"wake_at": SOON}, False),
        ({"wake_at": SOON - HOUR}, False),
        ({"wake_at": SOON + timedelta(microseconds=1)}, True),
        ({"status": None}, False),
        *(({"status": status}, False) for status in ReferralStatus if status not in STANDING),
        ({"claim_id": uuid4()}, False),
        ({"closed_at": NOW}, False),
        ({"parked": "no such program"}, False),
        ({"merged_into": "b"}, False),
        ({"moved_to": "ann"}, False),
    ],
)
@pytest.mark.suite_has(9)
async def test_a_row_is_believed_only_if_nothing_came_after_it(
    crowd: Crowd, changed: dict[str, Any], expected: bool
) -> None:
    await crowd.publish("friends")
    await crowd.live([*enrolment("dexter"), _SENT])
    async with crowd.database.transaction() as connection:
        row = await referrals.row(connection, "a")
    assert row is not None
    answered = unchanged(replace(row, **changed), SOON)
    assert (answered is not None) is expected


async def _answered(crowd: Crowd) -> Standing:
    """What a wake-up is answered that brings no news, in two statements: its row, and whether it is listed."""
    with counted() as sent:
        answered = await _judge(crowd, SOON)
    assert len(sent.statements) == 2, str(sent)
    return answered


async def _judged_in_full(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> Standing:
    with monkeypatch.context() as patched:
        patched.setattr(judgement, "unchanged", lambda *_: None)
        return await _judge(crowd, SOON)


async def _judge(crowd: Crowd, now: datetime) -> Standing:
    async with crowd.database.transaction() as connection:
        return await Judgement(crowd.keys).judge(connection, "a", now)
