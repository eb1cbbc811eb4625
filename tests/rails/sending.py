"""An approved payout that was not sent, and the activity that sends it: with a real database, and a provider over HTTP.

What leads up to it is lived once for each rail; each test gets a copy of the database as it stands then.
"""

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio.testing import WorkflowEnvironment

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.payouts.states import PayoutState, provider_key
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import payout_history
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import Signer
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from tests.installation import PROGRAM, Installation
from tests.rails.cases import OUTSIDE, Case
from tests.register.judging import judged
from tests.roles import Register
from tests.workflows.scenes import before_its_approver, days_ago, payouts, referrals_at_work, scene, sql

#: What the terms promise, and the provider's account of the referrer.
KINDS = {
    "stripe_transfer": ("cash", "acct_dexter"),
    "stripe_balance": ("credit", "cus_dexter"),
    "stripe_promotion": ("discount", "cus_dexter"),
    "paypal_payouts": ("cash", "DEXTERDEXTER1"),
    "tremendous": ("gift_card", None),
}
AMOUNT_MINOR = 2500


async def live_until_approved(
    name: str, database_url: str, environment: WorkflowEnvironment, *, weighs_signals: bool = True
) -> Signer:
    """Lives r1 until its approval, with terms that pay the referrer by that rail; who signed it."""
    kind, account = KINDS[name]
    source = PROGRAM.read_text().replace("kind: credit\n", f"kind: {kind}\n")
    rails = ", ".join(f"{each}: {rail}" for each, rail in {"credit": "account_credit", kind: name}.items())
    source = re.sub(r"  rails: \{.*\}", f"  rails: {{{rails}}}", source)
    if not weighs_signals:
        source = re.sub(r"  weights: \{.*\}", "  weights: {}", source)
    async with scene(database_url, environment, source) as life:
        await life.user("faye", Role.FINANCE)
        if account is not None:
            method = {"payee": "dexter", "rail": name, "reference": account}
            await life.record("payee.method_set", days_ago(200), method)
        async with referrals_at_work(life):
            await before_its_approver(life, "r1")
            await life.decide("r1", roles=(Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS))
            await life.settled("r1", among=frozenset({"approved"}))
        # Its wakes may be delivered by then or not; who wakes it here is the test.
        await sql(life, "DELETE FROM outbox")
        return life.signer


@dataclass
class Sending:
    """The referrer's payout of r1, and the hands of a worker, a person and a provider."""

    life: Installation
    case: Case
    payout: str
    now: datetime

    @property
    def provider(self) -> Any:
        return self.case.provider

    def key(self, generation: int = 1) -> str:
        return provider_key(UUID(self.payout), generation)

    async def step(
        self, after: timedelta = timedelta(), cls: type[Payouts] = Payouts, scheduled_at: datetime | None = None
    ) -> PayoutProgress:
        """The activity run once, so long after the step before."""
        self.now += after
        self.provider.clock.pass_time(after)
        asking = Inquiries(self.life.database, self.life.intake, self.life.sources)
        rails = {self.case.rail.facts.name: self.case.rail}
        doing = cls(self.life.database, self.life.keys, rails, asking, lambda: self.now)
        return await doing.send_payout(PayoutRequest(payout=self.payout, now=scheduled_at or self.now))

    async def decide(
        self, kind: MoneyAct, user: str = "faye", signer: Signer | None = None, reason: str = "other", **said: Any
    ) -> Decision:
        """Records what somebody of finance decides on the payout as it stands."""
        async with self.life.database.transaction() as connection:
            shown = await subjects.shown(connection, SubjectKind.PAYOUT, UUID(self.payout), self.life.keys)
            asked = Asked(self.payout, kind, reason, "looked at it", shown.digest, **said)
            approver = Approver(user, frozenset({Role.FINANCE}))
            made, _ = await record(
                connection, asked, approver, now=self.now, keys=self.life.keys, signer=signer or self.life.signer
            )
        return made

    async def judge(self) -> Any:
        """The referral's row once it is judged anew."""
        await judged(self.life.database, Judgement(self.life.keys), "r1", self.now)
        return await self.life.row("r1")

    async def row(self) -> Any:
        return (await payouts(self.life, "r1"))["referrer"]

    async def steps(self) -> list[tuple[str, int, str]]:
        """What was done, under which generation, and where it stood then."""
        async with self.life.database.transaction() as connection:
            steps = await payout_history.of(connection, UUID(self.payout))
        return [(each.act, each.generation, each.state) for each in steps]

    def posts(self) -> list[Any]:
        """The requests for money that reached the provider."""
        no_money = {"oauth2", "generate_link"}
        return [each for each in self.provider.asked if each.method == "POST" and not no_money & set(each.steps)]

    def paid(self) -> list[tuple[int | None, str]]:
        """What the provider holds under the payout's keys, and that is all that it holds."""
        assert all(name.startswith(self.payout) for name, *_ in self.case.paid())
        return [(amount, currency) for _, amount, currency, _ in self.case.paid()]

    async def booked(self) -> int:
        """What the books hold as handed to the rail, in minor units."""
        statement = "SELECT coalesce(sum(amount_minor), 0) AS total FROM posting WHERE account = :account"
        (booked,) = await sql(self.life, statement, account=f"clearing:{self.case.rail.facts.name}")
        return -int(booked.total)

    async def settled_once(self) -> bool:
        """Whether it is settled, by the one payment, and in the books once."""
        right = self.paid() == [(AMOUNT_MINOR, "USD")] and await self.booked() == AMOUNT_MINOR
        return right and (await self.row()).state == PayoutState.SETTLED


@asynccontextmanager
async def on_stage(
    name: str, database_url: str, signer: Signer, environment: WorkflowEnvironment
) -> AsyncIterator[Sending]:
    """The payout in a database that is a copy of the stage's."""
    # The stage has told its own facts by then.
    ids = itertools.count(1000)
    life = Installation(Register.at(database_url), environment, queue=f"q{uuid4().hex[:8]}", signer=signer, ids=ids)
    try:
        async with OUTSIDE[name]() as case:
            payout = (await payouts(life, "r1"))["referrer"]
            yield Sending(life, case, str(payout.id), datetime.now(UTC))
    finally:
        await life.database.close()
