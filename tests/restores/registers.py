"""A register that paid, and the same register as it was restored: two copies of one database, and one provider."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from activities.messages import ReconciliationRequest
from activities.reconciliations import Reconciliations
from models.session import Database
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import REASONS, SUBJECT_OF, MoneyAct
from referral_rewards.domain.payouts.states import PayoutState, payout_id
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.restores.forgotten import Forgotten
from referral_rewards.domain.restores.mark import Mark, raised
from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.local.sandbox import stripe
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.reconciliations import after_restore
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from referral_rewards.register.restores import forgotten, halting
from referral_rewards.register.restores import mark as marks
from tests.rails.by_parts import compared, listed
from tests.rails.sending import Sending
from tests.workflows.scenes import sql
from worker.process import Connections

#: By then every provider has forgotten every key that it does not keep for ever.
KEYS_FORGOTTEN: Final = timedelta(days=2)


@dataclass
class Restored:
    """``before`` is the register that paid; ``after`` the one that was restored, and is used from then on."""

    before: Sending
    after: Sending
    reconciliations: list[str] = field(default_factory=list)

    @property
    def rail(self) -> str:
        return self.after.case.rail.facts.name

    @property
    def payout(self) -> UUID:
        return UUID(self.after.payout)

    async def pay(self) -> Mark:
        """Has the register pay before it is restored; the mark that is kept by then."""
        first = await self.mark(self.before)
        assert (await self.before.step()).state == PayoutState.SETTLED
        return raised(first, await self.mark(self.before))

    async def mark(self, register: Sending) -> Mark:
        async with register.life.database.transaction() as connection:
            return await marks.newest(connection, register.now)

    async def find(self, kept: Mark, later: timedelta = KEYS_FORGOTTEN) -> bool:
        """Compares the restored register with the mark, so much later than the payment; whether it lacks something."""
        self.after.case.provider.clock.pass_time(later)
        self.after.now += later
        now, database = self.after.now, self.after.life.database
        await Connections(database, {self.rail: "sandbox"}).say(now)
        async with database.transaction() as connection:
            restored_to = await halting.find(connection, kept, now, by="the mark")
            if restored_to is not None:
                await after_restore.reconcile(connection, restored_to, now, by="the mark")
        return restored_to is not None

    async def reconcile(self) -> None:
        """Carries out every reconciliation that was asked for."""
        doing = Reconciliations(self.after.life.database, {self.rail: self.after.case.rail})
        for row in await sql(self.after.life, "SELECT id FROM reconciliation WHERE state = 'asked' ORDER BY asked_at"):
            request = ReconciliationRequest(reconciliation=str(row.id), now=self.after.now)
            await listed(doing, request)
            await compared(doing, request)

    async def restore(self) -> None:
        """The whole accident: it paid, was restored, was found to lack the payment, and its rail was reconciled."""
        assert await self.find(await self.pay())
        await self.reconcile()

    async def waiting(self) -> Sequence[Forgotten]:
        """The forgotten payments that wait for a person."""
        async with self.after.life.database.transaction() as connection:
            return await forgotten.unassigned(connection, self.rail)

    async def decide(self, act: MoneyAct, subject: UUID, **said: Any) -> Decision:
        """Records what somebody of finance decides, on what is shown now."""
        life = self.after.life
        async with life.database.transaction() as connection:
            shown = await subjects.shown(connection, SUBJECT_OF[act], subject, life.keys)
            asked = Asked(str(subject), act, REASONS[act][0], "looked at it", shown.digest, **said)
            approver = Approver("faye", frozenset({Role.FINANCE}))
            made, _ = await record(connection, asked, approver, now=self.after.now, keys=life.keys, signer=life.signer)
        return made

    async def reopen(self) -> Decision:
        return await self.decide(MoneyAct.REOPEN_RAIL, rail_id(self.rail))


async def paid_as_another(transfer: Restored) -> None:
    """The provider shows the payment under the id of another round of the referral."""
    kept = await transfer.pay()
    other = payout_id("r1", "referrer", 7)
    (made,) = transfer.after.provider.of(stripe.TRANSFER)
    made["metadata"]["payout"], made["transfer_group"] = str(other), f"{other}-1"
    assert await transfer.find(kept)
    await transfer.reconcile()
    (found,) = await transfer.waiting()
    assert found.payout_id == other
    assert UUID(transfer.after.payout) != other


@asynccontextmanager
async def beside(before: Sending, database_url: str) -> AsyncIterator[Restored]:
    """A register and the copy of it to which it will be restored. The provider's time is ours."""
    before.provider.clock.pass_time(before.now - before.provider.clock.now)
    database = Database.at(database_url)
    try:
        life = type(before.life)(
            database, before.life.environment, before.life.queue, before.life.signer, ids=before.life.ids
        )
        yield Restored(before, Sending(life, before.case, before.payout, before.now))
    finally:
        await database.close()
