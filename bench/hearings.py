"""Judges, approves and commits referrals as the workers do, on a register of any size."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.inquiries import Inquiries
from activities.messages import PayoutRequest
from activities.payouts import Payouts
from activities.referrals import Referrals
from bench import fresh
from bench.past import MAIN, OTHERS
from bench.personal import KEYS
from models.session import Database
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.payouts.moving import ToSend
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Moment
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import outbox, programs
from referral_rewards.register.claims import reservations
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import NewDecision
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payouts import sending as payouts
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.sources.http import RegisterSource
from worker.build import rails

PEPPER: Final = b"a pepper for measuring only"
_PEOPLE: Final = ("olga", "otto")
_BATCH: Final = 100


class Hearings:
    """One register, and the steps that a referral goes through. Every judgement is as of ``now``."""

    def __init__(self, engine: AsyncEngine, now: datetime) -> None:
        self.database = Database(engine, personal=KEYS)
        self._now = now
        self.signer = Signer.generate()
        self.keys = KeyRing.of([self.signer.public_entry()])
        self.intake = Intake(PEPPER)
        self._asking = Inquiries(self.database, self.intake, {"register": RegisterSource()})
        self._judging = Referrals(self.database, self.keys, self._asking)
        self._paying = Payouts(
            self.database, self.keys, rails(self.database, self.keys), self._asking, lambda: self._now
        )

    async def prepare(self) -> None:
        """Publish the programs, before a past could be bound to others, and add approvers."""
        async with self.database.transaction() as connection:
            for program in (MAIN, *OTHERS):
                await programs.publish(connection, fresh.terms(program), by="bench", at=self._now)
            for user in _PEOPLE:
                await connection.execute(_APPROVER, {"name": user, "roles": list(Role)})

    async def take_in(self, events: Sequence[Event]) -> None:
        for first in range(0, len(events), _BATCH):
            async with self.database.transaction() as connection:
                batch = events[first : first + _BATCH]
                await self.intake.record(connection, batch, received_at=self._now - timedelta(days=20))

    async def assembled(self, referral: str) -> None:
        """Judge a referral with new facts and assemble its claim, as a worker does when woken.

        Raises:
            RuntimeError: if the result is not a claim that waits for a person.
        """
        _check(referral, await self._judging.judge(referral, self._now), ReferralStatus.IN_REVIEW)
        _check(referral, await self._judging.assemble(referral, self._now), ReferralStatus.AWAITING_APPROVAL)

    async def decided(self, referral: str) -> None:
        """Record as many approvals as the claim requires."""
        async with self.database.transaction() as connection:
            row = await referrals.hold(connection, referral)
            assert row is not None
            claim, _ = await claims.current(connection, row.claim_id)
            for user in _PEOPLE[: claim.requirement.people]:
                new = NewDecision(
                    referral=referral,
                    claim_id=row.claim_id,
                    digest=claim.digest,
                    kind=DecisionKind.APPROVE,
                    user=user,
                    roles=frozenset(Role),
                    reason="terms_met",
                    note="measured",
                    decided_at=self._now,
                )
                decision = await decisions.append(connection, new, self.signer)
                await outbox.enqueue(connection, WakeupKind.DECISION, referral, decision.id)

    async def approved(self, referral: str) -> None:
        """Judge a referral with a new decision: assemble the claim again, and reserve.

        Raises:
            RuntimeError: if it is not approved.
        """
        _check(referral, await self._judging.judge(referral, self._now), ReferralStatus.APPROVED)

    async def paid(self, referral: str) -> None:
        """Pay each of its rewards over its rail, and judge the referral once more.

        Raises:
            RuntimeError: if a payment does not settle, or there is none.
        """
        async with self.database.transaction() as connection:
            planned = await reservations.payouts_of(connection, referral)
        for payout in planned:
            progress = await self._paying.send_payout(PayoutRequest(payout=str(payout.id), now=self._now))
            while progress.again_after is not None:
                progress = await self._paying.send_payout(PayoutRequest(payout=str(payout.id), now=self._now))
            if progress.state != PayoutState.SETTLED:
                raise RuntimeError(f"a payout of {referral} is {progress.state}: {progress.why}")
        _check(referral, await self._judging.judge(referral, self._now), ReferralStatus.REWARDED)

    async def committed(self, referral: str) -> None:
        """Commit the payment of each leg, without calling the rail.

        Raises:
            RuntimeError: if a payment would not be sent, or there is none.
        """
        async with self.database.transaction() as connection:
            planned = await reservations.payouts_of(connection, referral)
        if not planned:
            raise RuntimeError(f"{referral} has nothing to pay")
        for payout in planned:
            async with self.database.transaction() as connection:
                outset = await payouts.begin(connection, payout.id, self._now, self.keys)
            assert outset is not None
            answers = await self._asking.ask_all(outset.questions, Moment.PAYOUT)
            async with self.database.transaction() as connection:
                rails = frozenset({payout.rail})
                step = await payouts.commit_attempt(connection, outset, self._now, self.keys, rails, answers)
            if not isinstance(step, ToSend):
                raise RuntimeError(f"a payout of {referral} is {step.state}: {step.why}")


def _check(referral: str, standing: Standing, status: ReferralStatus) -> None:
    if standing.status is not status:
        raise RuntimeError(f"{referral} came to be {standing.status} ({standing.reason}), not {status}")


_APPROVER: Final = text("INSERT INTO app_user (name, roles, created_at) VALUES (:name, :roles, now())")
