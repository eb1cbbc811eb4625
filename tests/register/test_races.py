"""Approvals that truly race: many connections to a real database, and no more rewarded than the terms allow."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.session import Database
from referral_rewards.domain.approval import Approver, DecisionKind
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.facts import parse_event
from referral_rewards.domain.terms import Role
from referral_rewards.register import batches, claims, outbox, programs, referrals
from referral_rewards.register.deciding import Asked, decide
from referral_rewards.register.decisions import Decision
from referral_rewards.register.facts import Intake
from referral_rewards.register.judgement import Judgement
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.signing import KeyRing, Signer
from tests.register.judging import judged

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONNECTIONS = 16
EVERY_ROLE = frozenset({Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER})


@dataclass
class Crowd:
    """A register with many connections, and approvers who all press the button at the same moment."""

    database: Database
    signer: Signer = field(default_factory=Signer.generate)

    @property
    def keys(self) -> KeyRing:
        return KeyRing.of([self.signer.public_entry()])

    async def publish(self, program: str, *, four_eyes_from: str | None = None, **limits: Any) -> None:
        terms = {
            "program": program,
            "name": program,
            "effective_from": datetime(2025, 1, 1, tzinfo=UTC),
            "timezone": "UTC",
            "currency": "USD",
            "periods": {"expiry": {"email": "P30D"}, "offer": "P30D", "grace": "P30D", "return": "P14D"},
            "qualifying": {"kinds": ["purchase"]},
            "rewards": {"referrer": {"kind": "credit", "amount": "10.00"}},
            "limits": limits,
            "approval": {
                "routes": {"credit": ["program_owner"]},
                **({"four_eyes_from": four_eyes_from} if four_eyes_from else {}),
            },
            "payouts": {"rails": {"credit": "account_credit"}},
        }
        async with self.database.transaction() as connection:
            await programs.publish(connection, yaml.safe_dump(terms), by="tester", at=datetime.now(UTC))

    async def live(self, lives: list[dict[str, Any]]) -> None:
        """Takes in the facts of referrals, and has each wait for a person."""
        facts = [parse_event(event) for event in lives]
        async with self.database.transaction() as connection:
            batch = await batches.open_batch(connection, facts[0].event_id, NOW)
            await Intake(b"a pepper for tests only").record(connection, facts, received_at=NOW, batch=batch)
            await batches.finish(connection, batch, NOW)
        await self.judge_woken()

    async def judge_woken(self) -> None:
        """Judges at the same moment whoever has a wake-up waiting, until nobody has."""
        while woken := await self._woken():
            together = asyncio.Barrier(len(woken))
            await asyncio.gather(*(self._judge(name, together) for name in woken))

    async def _woken(self) -> set[str]:
        """Delivers the wake-ups of referrals; payouts are left alone."""
        async with self.database.transaction() as connection:
            waiting = await outbox.claim(connection, 10_000)
            await outbox.delivered(connection, [number for each in waiting for number in each.ids])
        return {each.target for each in waiting if each.kind is not WakeupKind.PAYOUT_DUE}

    async def _judge(self, name: str, together: asyncio.Barrier) -> None:
        await together.wait()
        await judged(self.database, Judgement(self.keys), name, NOW)

    async def approve_together(self, names: Sequence[str], *users: str) -> None:
        """Records everybody's approval, then has the workers find them all at the same moment."""
        for user in users or ("paula",):
            await asyncio.gather(*(self._approve(name, user) for name in names))
        await self.judge_woken()

    async def _approve(self, name: str, user: str) -> None:
        async with self.database.transaction() as connection:
            row = await referrals.row(connection, name)
            assert row is not None
            claim, _ = await claims.current(connection, row.claim_id)
            asked = Asked(name, DecisionKind.APPROVE, "terms_met", "looked at it", claim.digest)
            approver = Approver(user, EVERY_ROLE)
            await decide(connection, asked, approver, now=NOW, keys=self.keys, signer=self.signer)

    async def press_together(
        self, name: str, users: Sequence[str], kinds: Sequence[DecisionKind] = ()
    ) -> list[tuple[Decision | DecisionRefused, bool]]:
        """What each is answered who decides on one claim at the same moment, and whether that was on record before."""
        async with self.database.transaction() as connection:
            row = await referrals.row(connection, name)
            assert row is not None
            digest = (await claims.current(connection, row.claim_id))[0].digest
        together = asyncio.Barrier(len(users))

        async def press(user: str, kind: DecisionKind) -> tuple[Decision | DecisionRefused, bool]:
            reason = "other" if kind is DecisionKind.DENY else "terms_met"
            asked = Asked(name, kind, reason, "looked at it", digest)
            try:
                async with self.database.transaction() as connection:
                    await together.wait()
                    approver = Approver(user, EVERY_ROLE)
                    return await decide(connection, asked, approver, now=NOW, keys=self.keys, signer=self.signer)
            except DecisionRefused as refusal:
                return refusal, False

        pressed = zip(users, kinds or [DecisionKind.APPROVE] * len(users), strict=True)
        return await asyncio.gather(*(press(user, kind) for user, kind in pressed))

    async def standing(self) -> list[Any]:
        return await self.rows("SELECT id, status, reason, claim_id FROM referral ORDER BY id")

    async def rows(self, statement: str) -> list[Any]:
        async with self.database.transaction() as connection:
            return list(await connection.execute(text(statement)))

    async def outcomes(self) -> Counter[tuple[str, str | None]]:
        return Counter((row.status, row.reason) for row in await self.standing())

    async def held(self) -> list[int]:
        """The amounts of the live legs, the least first."""
        rows = await self.rows("SELECT amount_minor FROM leg WHERE state <> 'cancelled' ORDER BY 1")
        return [row.amount_minor for row in rows]

    async def flagged(self, flag: str, amount_minor: int | None) -> int:
        """How many of the claims that wait bear the flag and would pay that much; None for those without a leg."""
        waiting = await self.rows("SELECT claim_id FROM referral WHERE status = 'awaiting_approval'")
        found = 0
        async with self.database.transaction() as connection:
            for row in waiting:
                claim, _ = await claims.current(connection, row.claim_id)
                amounts = [leg.amount_minor for leg in claim.legs]
                found += flag in claim.flag_names and amounts == ([] if amount_minor is None else [amount_minor])
        return found

    async def effects(self) -> Counter[str]:
        return Counter(row.effect for row in await self.rows("SELECT effect FROM decision_effect"))


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url, pool_size=CONNECTIONS)
    yield Crowd(database)
    await database.close()


def life(
    referral: str, referrer: str, *, referee: str, order: str | None = None, program: str = "friends"
) -> list[dict[str, Any]]:
    """A referral claimed by link and bought on, its return period over. ``order`` is told by whoever names it."""
    who = {"customer": f"c-{referee}", "email": f"{referee}@example.com"}
    claim = {"referral": referral, "program": program, "referrer": referrer, "channel": "link", "referee": who}
    facts = [_fact(f"{referral}-1", "referral.claimed", 60, {**claim, "consent": True})]
    if order is not None:
        bought = {"order": order, "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD"}
        facts.append(_fact(f"{referral}-2", "conversion.recorded", 50, bought))
    return facts


def enrolment(referrer: str, program: str = "friends") -> list[dict[str, Any]]:
    about = {"referrer": referrer, "program": program, "customer": f"c-{referrer}", "email": f"{referrer}@example.com"}
    return [_fact(f"{referrer}-{program}", "referrer.enrolled", 300, about)]


def _fact(id_: str, type_: str, days_ago: int, data: dict[str, Any]) -> dict[str, Any]:
    when = NOW - timedelta(days=days_ago)
    return {"specversion": "1.0", "id": id_, "source": "test", "type": type_, "time": when.isoformat(), "data": data}


ROUNDS = range(15)


@pytest.mark.parametrize("other_program", ["friends", "partners"], ids=["one program", "two programs"])
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
    assert await crowd.flagged("duplicate_claim", 1000) == 2 * len(ROUNDS)

    await crowd.approve_together([f"{side}{n}" for n in ROUNDS for side in "ab"], "paula", "fiona")

    live = await crowd.rows("SELECT order_key FROM leg WHERE state <> 'cancelled' ORDER BY order_key")
    assert Counter(row.order_key for row in live) == Counter(f"o{n}" for n in ROUNDS)
    assert await crowd.outcomes() == {("approved", None): len(ROUNDS), ("awaiting_approval", None): len(ROUNDS)}
    assert await crowd.effects() == {"applied": 2 * len(ROUNDS), "void": 2 * len(ROUNDS)}


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


@pytest.mark.parametrize("limit", LIMITS)
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
