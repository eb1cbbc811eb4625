"""A register with many connections, and people who all press a button at the same moment."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from sqlalchemy import text

from models.session import Database
from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import outbox, programs
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.recording.record import record
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from tests.register.judging import judged

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONNECTIONS = 16
INTAKE = Intake(b"a pepper for tests only")
EVERY_ROLE = frozenset({Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER})


@dataclass
class Crowd:
    """A register with many connections, and approvers who all press the button at the same moment."""

    database: Database
    signer: Signer = field(default_factory=Signer.generate)
    now: datetime = NOW

    @property
    def keys(self) -> KeyRing:
        return KeyRing.of([self.signer.public_entry()])

    async def publish(
        self,
        program: str,
        *,
        four_eyes_from: str | None = None,
        changes: Mapping[str, Any] | None = None,
        **limits: Any,
    ) -> None:
        """A program that pays the referrer 10.00; ``changes`` are whole sections of other terms."""
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
            **(changes or {}),
        }
        async with self.database.transaction() as connection:
            await programs.publish(connection, yaml.safe_dump(terms), by="tester", at=datetime.now(UTC))

    async def live(self, lives: list[dict[str, Any]]) -> None:
        """Takes in the facts of referrals, and has each wait for a person."""
        facts = [parse_event(event) for event in lives]
        async with self.database.transaction() as connection:
            batch = await file_intake.open_batch(connection, facts[0].event_id, self.now)
            await INTAKE.record(connection, facts, received_at=self.now, batch=batch)
            await file_intake.finish(connection, batch, self.now)
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

    async def judge(self, name: str) -> None:
        """As a worker does whom its alarm woke, or a signal."""
        await judged(self.database, Judgement(self.keys), name, self.now)

    async def _judge(self, name: str, together: asyncio.Barrier) -> None:
        await together.wait()
        await self.judge(name)

    async def approve_together(self, names: Sequence[str], *users: str) -> None:
        """Records everybody's approval, then has the workers find them all at the same moment."""
        for user in users or ("paula",):
            await asyncio.gather(*(self.approve(name, user) for name in names))
        await self.judge_woken()

    async def approve(self, name: str, user: str) -> None:
        """Records one person's approval of the claim as it stands."""
        async with self.database.transaction() as connection:
            row = await referrals.row(connection, name)
            assert row is not None
            claim, _ = await claims.current(connection, row.claim_id)
            asked = Asked(name, DecisionKind.APPROVE, "terms_met", "looked at it", claim.digest)
            approver = Approver(user, EVERY_ROLE)
            await record(connection, asked, approver, now=self.now, keys=self.keys, signer=self.signer)

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
                    return await record(connection, asked, approver, now=self.now, keys=self.keys, signer=self.signer)
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


def life(
    referral: str, referrer: str, *, referee: str, order: str | None = None, program: str = "friends"
) -> list[dict[str, Any]]:
    """A referral claimed by link and bought on, its return period over. ``order`` is told by whoever names it."""
    who = {"customer": f"c-{referee}", "email": f"{referee}@example.com"}
    claim = {"referral": referral, "program": program, "referrer": referrer, "channel": "link", "referee": who}
    facts = [told(f"{referral}-1", "referral.claimed", 60, {**claim, "consent": True})]
    if order is not None:
        bought = {"order": order, "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD"}
        facts.append(told(f"{referral}-2", "conversion.recorded", 50, bought))
    return facts


def enrolment(referrer: str, program: str = "friends") -> list[dict[str, Any]]:
    about = {"referrer": referrer, "program": program, "customer": f"c-{referrer}", "email": f"{referrer}@example.com"}
    return [told(f"{referrer}-{program}", "referrer.enrolled", 300, about)]


def told(id_: str, type_: str, days_ago: int, data: dict[str, Any]) -> dict[str, Any]:
    when = NOW - timedelta(days=days_ago)
    return {"specversion": "1.0", "id": id_, "source": "test", "type": type_, "time": when.isoformat(), "data": data}
