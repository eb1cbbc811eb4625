"""Facts told by a source whose clock runs ahead of ours: they take effect at their own instant, and nothing that they
bear on is paid before it. Every clock here is the test's.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import yaml
from sqlalchemy import text

from models.session import Database
from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.payouts.moving import NotNow, ToSend
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.register import programs
from referral_rewards.register.claims import reservations
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.payouts import answers as payout_answers
from referral_rewards.register.payouts import sending as payouts
from referral_rewards.register.recording.record import record
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from tests.register.judging import CONFIRMED, judged

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
AHEAD: Final = timedelta(minutes=3)
THEN: Final = NOW + AHEAD
JUST_BEFORE: Final = THEN - timedelta(microseconds=1)
WHO: Final = {"customer": "c-brie", "email": "brie@example.com"}

#: What may be told: its type, what it says, and where it leaves a claim that was approved but not paid.
TOLD: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "a refund": ("conversion.reversed", {"order": "o", "kind": "refund"}, "denied"),
    "a partial refund": ("conversion.reversed", {"order": "o", "kind": "refund", "amount": "30.00"}, "approval"),
    "a dispute": ("conversion.dispute_opened", {"order": "o"}, "approval"),
    "a move": (
        "attribution.changed",
        {"referral": "r", "from_referrer": "dexter", "to_referrer": "mia", "reason": "support_case"},
        "approval",
    ),
    "an issue": ("customer.issue_opened", {"customer": WHO, "issue": "i1"}, "approval"),
}
AFTER: Final = {"denied": "denied", "approval": "awaiting_approval"}


@dataclass
class Till:
    """One referral of an installation without workflows: whoever acts on it says what time it is."""

    database: Database
    signer: Signer = field(default_factory=Signer.generate)
    told: int = 0

    @property
    def keys(self) -> KeyRing:
        return KeyRing.of([self.signer.public_entry()])

    async def tell(self, type_: str, at: datetime, data: dict[str, Any], *, received_at: datetime = NOW) -> None:
        self.told += 1
        said = {"specversion": "1.0", "id": f"f{self.told}", "source": "test", "type": type_, "data": data}
        event = parse_event({**said, "time": at.isoformat()})
        async with self.database.transaction() as connection:
            batch = await file_intake.open_batch(connection, event.event_id, received_at)
            await Intake(bytes(32)).record(connection, [event], received_at=received_at, batch=batch)
            await file_intake.finish(connection, batch, received_at)

    async def tell_ahead(self, what: str) -> None:
        type_, data, _ = TOLD[what]
        await self.tell(type_, THEN, data)

    async def judge(self, at: datetime) -> Standing:
        return await judged(self.database, Judgement(self.keys), "r", at)

    async def approve(self, at: datetime) -> None:
        async with self.database.transaction() as connection:
            row = await referrals.row(connection, "r")
            assert row is not None
            claim, _ = await claims.current(connection, row.claim_id)
            asked = Asked("r", DecisionKind.APPROVE, "terms_met", "looked at it", claim.digest)
            approver = Approver("paula", frozenset({Role.PROGRAM_OWNER}))
            await record(connection, asked, approver, now=at, keys=self.keys, signer=self.signer)
        assert (await self.judge(at)).status == "approved"

    async def attempt(self, role: str, at: datetime) -> ToSend | NotNow:
        """What the activity that pays is told of the payout of that leg."""
        payout = (await self.payouts())[role].id
        async with self.database.transaction() as connection:
            outset = await payouts.begin(connection, payout, at, self.keys)
        assert outset is not None
        answers = {referral: Answers(question, CONFIRMED) for referral, question in outset.questions.items()}
        async with self.database.transaction() as connection:
            rails = frozenset({"account_credit"})
            return await payouts.commit_attempt(connection, outset, at, self.keys, rails, answers)

    async def pay(self, role: str, at: datetime) -> None:
        """Sends the payout of that leg, and has the rail say that it is paid."""
        assert isinstance(await self.attempt(role, at), ToSend)
        async with self.database.transaction() as connection:
            payout = (await self.payouts())[role].id
            await payout_answers.note(connection, payout, PayoutState.SETTLED, at, reference="p1", why=None)

    async def payouts(self) -> dict[str, Any]:
        async with self.database.transaction() as connection:
            return {row.role: row for row in await reservations.payouts_of(connection, "r")}

    async def row(self) -> Any:
        async with self.database.transaction() as connection:
            return await referrals.row(connection, "r")

    async def cases(self) -> list[str]:
        """The roles of the legs that a clawback case is open for."""
        return [row.role for row in await self.sql(_CASES)]

    async def sql(self, statement: str) -> list[Any]:
        async with self.database.transaction() as connection:
            result = await connection.execute(text(statement))
            return list(result) if result.returns_rows else []


_CASES: Final = "SELECT l.role FROM clawback_case c JOIN leg l ON l.id = c.leg_id ORDER BY l.role"


@pytest.fixture
async def till(database_url: str) -> AsyncIterator[Till]:
    """A till with terms that reward both sides, and referral r, whose return period is over."""
    database = Database.at(database_url)
    opened = Till(database)
    async with database.transaction() as connection:
        await programs.publish(connection, yaml.safe_dump(TERMS), by="tester", at=NOW)
        users = "INSERT INTO app_user (name, roles, created_at) VALUES ('paula', '{program_owner}', now())"
        await connection.execute(text(users))
    for referrer in ("dexter", "mia"):
        about = {"referrer": referrer, "program": "friends", "customer": f"c-{referrer}"}
        await opened.tell("referrer.enrolled", _days_ago(300), about)
    claim = {"referral": "r", "program": "friends", "referrer": "dexter", "channel": "link", "referee": WHO}
    await opened.tell("referral.claimed", _days_ago(60), {**claim, "consent": True})
    bought = {"order": "o", "kind": "purchase", "customer": WHO, "amount": "80.00", "currency": "USD"}
    await opened.tell("conversion.recorded", _days_ago(50), {**bought, "new_customer": True})
    yield opened
    await database.close()


def _days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


TERMS: Final = {
    "program": "friends",
    "name": "friends",
    "effective_from": datetime(2025, 1, 1, tzinfo=UTC),
    "timezone": "UTC",
    "currency": "USD",
    "periods": {"expiry": {"email": "P30D"}, "offer": "P30D", "grace": "P30D", "return": "P14D", "watch": "P60D"},
    "qualifying": {"kinds": ["purchase"]},
    "rewards": {"referrer": {"kind": "credit", "percent": "10"}, "referee": {"kind": "credit", "percent": "5"}},
    "approval": {"routes": {"credit": ["program_owner"]}},
    "payouts": {"rails": {"credit": "account_credit"}},
}


@pytest.mark.parametrize("what", TOLD)
@pytest.mark.parametrize("told", ["before the approval", "before the payment"])
@pytest.mark.suite_has(2)
async def test_nothing_is_paid_before_what_was_told_takes_effect_and_then_it_is_judged_by_it(
    till: Till, what: str, told: str
) -> None:
    await till.judge(NOW)
    if told == "before the approval":
        await till.tell_ahead(what)
        assert (await till.judge(NOW)).status == "awaiting_approval"
    await till.approve(NOW)
    if told == "before the payment":
        await till.tell_ahead(what)
        assert (await till.judge(NOW)).status == "approved"
    assert (await till.row()).wake_at == THEN
    for at in (NOW, JUST_BEFORE):
        step = await till.attempt("referrer", at)
        assert isinstance(step, NotNow)
        assert step.again_after is not None
        assert timedelta() < step.again_after - (THEN - at) <= timedelta(seconds=2)
    assert (await till.judge(THEN)).status == AFTER[TOLD[what][2]]
    assert {each.state for each in (await till.payouts()).values()} == {"cancelled"}
    assert isinstance(await till.attempt("referrer", THEN), NotNow)
    assert await till.cases() == []


@pytest.mark.parametrize("what", TOLD)
@pytest.mark.suite_has(2)
async def test_a_payout_that_looks_before_its_referral_was_woken_pays_nothing_either(till: Till, what: str) -> None:
    await till.judge(NOW)
    await till.approve(NOW)
    await till.tell_ahead(what)
    await till.judge(NOW)
    assert isinstance(await till.attempt("referrer", THEN), NotNow)
    assert (await till.payouts())["referrer"].first_sent_at is None
    assert (await till.judge(THEN)).status == AFTER[TOLD[what][2]]


#: What is told after the first leg was sent, and the legs that it opens a case for.
OPENED: Final = {
    "a refund": ["referrer"],
    "a partial refund": ["referrer"],
    "a dispute": ["referrer"],
    "a move": ["referrer"],
    "an issue": [],
}


@pytest.mark.parametrize("what", TOLD)
@pytest.mark.suite_has(2)
async def test_told_after_the_first_leg_was_sent_it_opens_a_case_when_it_takes_effect_and_stops_the_other(
    till: Till, what: str
) -> None:
    await till.judge(NOW)
    await till.approve(NOW)
    await till.pay("referrer", NOW)
    await till.tell_ahead(what)
    for at in (NOW, JUST_BEFORE):
        assert (await till.judge(at)).status == "paying"
        assert isinstance(await till.attempt("referee", at), NotNow)
        assert await till.cases() == []
    assert (await till.row()).wake_at == THEN
    await till.judge(THEN)
    assert await till.cases() == OPENED[what]
    assert isinstance(await till.attempt("referee", THEN), NotNow)
    stopped = (await till.payouts())["referee"]
    assert (stopped.first_sent_at, stopped.state) == (None, "manual_review")
    await till.judge(THEN + timedelta(hours=1))
    assert await till.cases() == OPENED[what]


@pytest.mark.parametrize("what", ["a refund", "a partial refund", "a dispute"])
@pytest.mark.suite_has(2)
async def test_told_in_the_watch_it_opens_a_case_for_each_leg_when_it_takes_effect(till: Till, what: str) -> None:
    await till.judge(NOW)
    await till.approve(NOW)
    for role in ("referrer", "referee"):
        await till.pay(role, NOW)
    assert (await till.judge(NOW)).status == "rewarded"
    await till.tell_ahead(what)
    await till.judge(JUST_BEFORE)
    assert (await till.cases(), (await till.row()).wake_at) == ([], THEN)
    assert (await till.judge(THEN)).status == "rewarded"
    assert await till.cases() == ["referee", "referrer"]
    assert (await till.row()).wake_at == NOW + timedelta(days=60)


@pytest.mark.parametrize("what", ["a refund", "a dispute"])
async def test_what_was_sent_in_spite_of_it_gets_its_case_when_it_takes_effect(till: Till, what: str) -> None:
    """So do payments of installations that did not wait for it yet."""
    await till.judge(NOW)
    await till.approve(NOW)
    await till.tell_ahead(what)
    await till.judge(NOW)
    await till.sql("UPDATE payout SET first_sent_at = updated_at, key_used_at = updated_at, state = 'sending'")
    await till.sql("UPDATE referral SET status = 'paying'")
    await till.judge(JUST_BEFORE)
    assert await till.cases() == []
    await till.judge(THEN)
    assert await till.cases() == ["referee", "referrer"]


async def test_what_changes_nothing_holds_a_payment_back_until_it_takes_effect_and_no_longer(till: Till) -> None:
    await till.judge(NOW)
    await till.approve(NOW)
    await till.tell("satisfaction.rated", THEN, {"referral": "r", "score": 5, "by": "referrer"})
    await till.judge(NOW)
    assert isinstance(await till.attempt("referrer", JUST_BEFORE), NotNow)
    assert (await till.judge(THEN)).status == "approved"
    for role in ("referrer", "referee"):
        await till.pay(role, THEN)
    assert (await till.judge(THEN)).status == "rewarded"


async def test_a_payout_whose_clock_stands_days_behind_looks_again_and_pays_once_its_referral_is_past_it(
    till: Till,
) -> None:
    far = NOW + timedelta(days=2)
    await till.judge(NOW)
    await till.approve(NOW)
    await till.tell("satisfaction.rated", far, {"referral": "r", "score": 5, "by": "referrer"})
    await till.judge(NOW)
    step = await till.attempt("referrer", NOW)
    assert isinstance(step, NotNow)
    assert step.again_after is not None
    assert step.again_after < timedelta(minutes=6)
    assert (await till.judge(far)).status == "approved"
    await till.pay("referrer", NOW)


@pytest.mark.parametrize("what", ["a partial refund", "a dispute", "a move", "an issue"])
@pytest.mark.suite_has(2)
async def test_a_claim_before_its_approver_is_assembled_anew_when_it_takes_effect(till: Till, what: str) -> None:
    await till.judge(NOW)
    await till.tell_ahead(what)
    await till.judge(NOW)
    before = (await till.row()).claim_id
    await till.judge(JUST_BEFORE)
    assert (await till.row()).claim_id == before
    assert (await till.judge(THEN)).status == "awaiting_approval"
    assert (await till.row()).claim_id != before


async def test_a_referral_whose_first_fact_lies_ahead_begins_when_it_takes_effect(till: Till) -> None:
    sent = {"referral": "new", "program": "friends", "referrer": "dexter", "channel": "email", "referee": WHO}
    await till.tell("referral.sent", THEN, sent)
    for at in (NOW, JUST_BEFORE):
        standing = await judged(till.database, Judgement(till.keys), "new", at)
        assert (standing.closed, standing.wake_at) == (False, THEN)
    standing = await judged(till.database, Judgement(till.keys), "new", THEN)
    assert (standing.status, standing.deadline) == ("invited", THEN + timedelta(days=30))
