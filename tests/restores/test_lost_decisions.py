"""What a restore lost was more than the payment: its approval, or the release of its cycle. Each payee is paid once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID, uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.payouts import Payouts
from models.session import Database
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.cycles.grouping import cycle_payout_id
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import REASONS, SUBJECT_OF, MoneyAct
from referral_rewards.domain.payouts.states import PayoutState, payout_id
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.inquiries import Moment
from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.register.decisions.signing import Signer
from referral_rewards.register.payouts import exporting, sending
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from referral_rewards.register.restores import halting
from referral_rewards.register.restores import mark as marks
from tests.installation import Installation
from tests.rails.cases import OUTSIDE
from tests.rails.sending import Sending
from tests.restores.lives import APPROVERS, Until, advance, live
from tests.restores.registers import Restored, beside
from tests.snapshots import Snapshots
from tests.workflows.cycling import decide_on
from tests.workflows.scenes import sql
from worker.build import rails

_A = MoneyAct
_S = PayoutState
TRANSFER: Final = "stripe_transfer"
Fill = Callable[[str], Awaitable[tuple[Signer, UUID | None]]]


@pytest.fixture(scope="session")
def fillings(temporal_env: WorkflowEnvironment) -> dict[str, Fill]:
    ways: dict[str, tuple[str, str, Until]] = {
        "review": (TRANSFER, "acct_dexter", "review"),
        "frozen": (TRANSFER, "acct_dexter", "frozen"),
        "by hand": ("manual", "account-of-dexter", "approved"),
    }
    return {name: partial(live, *way, environment=temporal_env) for name, way in ways.items()}


@asynccontextmanager
async def two(
    fill: Fill, payout: Callable[[UUID | None], UUID], snapshots: Snapshots, environment: WorkflowEnvironment
) -> AsyncIterator[tuple[Restored, UUID | None]]:
    async with (
        snapshots.of(fill) as (paying, (signer, cycle)),
        snapshots.of(fill) as (restored, _),
        OUTSIDE[TRANSFER]() as case,
    ):
        database = Database.at(paying)
        life = Installation(database, environment, queue=f"q{uuid4().hex[:8]}", signer=signer)
        before = Sending(life, case, str(payout(cycle)), datetime.now(UTC))
        try:
            async with beside(before, restored) as both:
                yield both, cycle
        finally:
            await database.close()


async def test_a_claim_that_is_approved_again_pays_once(
    fillings: dict[str, Fill], snapshots: Snapshots, temporal_env: WorkflowEnvironment
) -> None:
    own = payout_id("r1", "referrer")
    async with two(fillings["review"], lambda _: own, snapshots, temporal_env) as (both, _):
        await both.before.life.decide("r1", roles=APPROVERS)
        assert (await both.before.judge()).status == "approved"
        await both.restore()
        (found,) = await both.waiting()
        assert found.payout_id == own
        # Days later, and so with another signature and another time.
        await both.after.life.decide("r1", roles=APPROVERS)
        assert (await both.after.judge()).status == "approved"
        assert (await both.after.step()).state == _S.SETTLED
        assert await both.after.settled_once()
        assert await both.waiting() == ()


async def test_a_cycle_that_is_released_again_pays_once(
    fillings: dict[str, Fill], snapshots: Snapshots, temporal_env: WorkflowEnvironment
) -> None:
    def own(cycle: UUID | None) -> UUID:
        assert cycle is not None
        return cycle_payout_id(cycle, "dexter", TRANSFER, "USD")

    async with two(fillings["frozen"], own, snapshots, temporal_env) as (both, cycle):
        assert cycle is not None
        await decide_on(both.before.life, cycle, _A.RELEASE_CYCLE)
        await advance(both.before.life, cycle)
        await both.restore()
        (found,) = await both.waiting()
        assert str(found.payout_id) == both.after.payout
        assert (await both.after.step()).state == _S.PLANNED
        await decide_on(both.after.life, cycle, _A.RELEASE_CYCLE, user="finn")
        await advance(both.after.life, cycle)
        assert (await both.after.step()).state == _S.SETTLED
        assert await both.after.settled_once()


class ByHand:
    """The referrer's payout over the manual rail, in one register."""

    def __init__(self, database: Database, environment: WorkflowEnvironment, signer: Signer) -> None:
        self.life = Installation(database, environment, queue=f"q{uuid4().hex[:8]}", signer=signer)
        self.payout = payout_id("r1", "referrer")
        self.now = datetime.now(UTC)

    async def step(self) -> PayoutProgress:
        database, keys = self.life.database, self.life.keys
        asking = Inquiries(database, self.life.intake, self.life.sources)
        doing = Payouts(database, keys, rails(database, keys), asking, lambda: self.now)
        return await doing.send_payout(PayoutRequest(payout=str(self.payout), now=self.now))

    async def export(self) -> str | None:
        """Hands out the instruction; why it is not, in a sentence."""
        database, keys = self.life.database, self.life.keys
        asking = Inquiries(database, self.life.intake, self.life.sources)
        async with database.transaction() as connection:
            outset = await sending.begin(connection, self.payout, self.now, keys)
        assert outset is not None
        answers = await asking.ask_all(outset.questions, Moment.PAYOUT)
        async with database.transaction() as connection:
            return await exporting.export(connection, outset, self.now, keys, answers, "faye")

    async def decide(self, act: MoneyAct, subject: UUID, user: str = "faye") -> None:
        async with self.life.database.transaction() as connection:
            shown = await subjects.shown(connection, SUBJECT_OF[act], subject, self.life.keys)
            asked = Asked(str(subject), act, REASONS[act][0], "looked at it", shown.digest)
            approver = Approver(user, frozenset({Role.FINANCE}))
            await record(connection, asked, approver, now=self.now, keys=self.life.keys, signer=self.life.signer)

    async def instructions(self) -> list[str]:
        return [row.key for row in await sql(self.life, "SELECT key FROM payment_instruction ORDER BY key")]


async def test_what_people_pay_by_hand_stands_before_a_person(
    fillings: dict[str, Fill], snapshots: Snapshots, temporal_env: WorkflowEnvironment
) -> None:
    fill = fillings["by hand"]
    async with snapshots.of(fill) as (paying, (signer, _)), snapshots.of(fill) as (restored, _):
        before = ByHand(Database.at(paying), temporal_env, signer)
        after = ByHand(Database.at(restored), temporal_env, signer)
        assert await before.export() is None
        async with before.life.database.transaction() as connection:
            kept = await marks.newest(connection, before.now)
        after.now += timedelta(days=1)
        async with after.life.database.transaction() as connection:
            assert await halting.find(connection, kept, after.now, by="the mark") is not None
        # The bank may have executed the instruction that was forgotten.
        stopped = await after.step()
        assert (stopped.state, await after.instructions()) == (_S.MANUAL_REVIEW, [])
        # Two people say that it did not.
        await after.decide(_A.REFUSE_PAYOUT, after.payout)
        assert (await after.step()).state == _S.MANUAL_REVIEW
        await after.decide(_A.REFUSE_PAYOUT, after.payout, "fritz")
        assert (await after.step()).state == _S.REFUSED
        await after.decide(_A.RETRY_PAYOUT, after.payout, "finn")
        assert (await after.step()).state == _S.APPROVED
        assert await after.instructions() == []
        await after.decide(_A.REOPEN_RAIL, rail_id("manual"))
        assert await after.export() is None
        assert await after.instructions() == [f"{after.payout}-2"]
        await before.life.database.close()
        await after.life.database.close()
