"""What people and sources say while a payment is at its provider: it is paid once, and what stands is true."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest

from activities.messages import ReconciliationRequest
from activities.reconciliations import Reconciliations
from referral_rewards.domain.decisions.money_acts import NEEDS_REFERENCE, SUBJECT_OF, MoneyAct, SubjectKind
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.payouts.states import Answer, PaymentRequest, PayoutState
from referral_rewards.rails.port import Rail
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.reporting.books import checking
from tests.patience import PATIENCE_SECONDS
from tests.rails.by_parts import compared, listed
from tests.rails.sending import AMOUNT_MINOR, Sending
from tests.workflows.scenes import sql

_A, _S = MoneyAct, PayoutState
_WINDOW: Final = timedelta(hours=20)
_SPACING: Final = timedelta(hours=1)


@dataclass
class Gate:
    """A rail that stops at a payment until it is let through: before it is asked, or once it has paid."""

    rail: Rail
    stops: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rail, name)

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        answer = await self.rail.pay(request, key) if self.stops == "after" else None
        self.reached.set()
        await self.opened.wait()
        return answer or await self.rail.pay(request, key)


@asynccontextmanager
async def under_way(sending: Sending, stops: str) -> AsyncIterator[asyncio.Task[Any]]:
    """The payment is at its provider for the length of the block; the step that it belongs to is over after it."""
    rail = sending.case.rail
    gate = Gate(rail, stops)
    sending.case.rail = gate
    step = asyncio.create_task(sending.step())
    await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
    # Whoever asks meanwhile is another worker, whom nothing stops.
    sending.case.rail = rail
    try:
        yield step
    finally:
        gate.opened.set()
        await step


async def _acts_on_it(sending: Sending) -> None:
    """Nobody can say of a payment that is under way that it was paid, that it was not, or that it may be sent anew."""
    for kind in MoneyAct:
        if SUBJECT_OF[kind] is SubjectKind.PAYOUT:
            said = {"reference": "cheque 7"} if kind in NEEDS_REFERENCE else {}
            with pytest.raises(ActRefused, match="you can do nothing with it") as refused:
                await sending.decide(kind, **said)
            assert refused.value.rule == "not_now"


async def _dispute(sending: Sending) -> None:
    await sending.life.record("conversion.dispute_opened", sending.now, {"order": "o-r1"})


async def _refund(sending: Sending) -> None:
    await sending.life.record("conversion.reversed", sending.now, {"order": "o-r1", "kind": "refund"})


async def _barred(sending: Sending) -> None:
    await sql(sending.life, "UPDATE app_user SET barred_at = now()")


async def _another_worker(sending: Sending) -> None:
    await sending.step()


_MEANWHILE: Final[dict[str, tuple[Callable[[Sending], Awaitable[None]], set[str]]]] = {
    "acts on it": (_acts_on_it, set()),
    "a dispute": (_dispute, {"frozen"}),
    "a refund": (_refund, {"open"}),
    "its approver is barred": (_barred, set()),
    "another worker": (_another_worker, set()),
}


@pytest.mark.parametrize("stops", ["before", "after"])
@pytest.mark.parametrize("what", _MEANWHILE)
@pytest.mark.suite_has(5)
async def test_whatever_is_said_while_it_is_under_way_it_is_paid_once(transfer: Sending, what: str, stops: str) -> None:
    happens, cases = _MEANWHILE[what]
    async with under_way(transfer, stops):
        await happens(transfer)
        await transfer.judge()
    assert await transfer.settled_once()
    await transfer.judge()
    assert (await transfer.step()).state == _S.SETTLED
    assert len(transfer.posts()) == 1 + (what == "another worker" and stops == "before")
    found = await sql(
        transfer.life,
        "SELECT c.state FROM clawback_case c JOIN leg l ON l.id = c.leg_id WHERE l.role = 'referrer'",
    )
    assert {row.state for row in found} == cases
    await _books_hold(transfer)


async def _books_hold(sending: Sending) -> None:
    async with sending.life.database.transaction() as connection:
        assert [each async for each in checking.problems(connection)] == []


@pytest.mark.parametrize("kind", [_A.SETTLE_PAYOUT, _A.REFUSE_PAYOUT, _A.CANCEL_PAYOUT])
async def test_what_is_paid_after_a_person_has_said_otherwise_is_told(transfer: Sending, kind: MoneyAct) -> None:
    """A request that hung for a day: they looked, the provider showed nothing, and then it paid after all."""
    async with under_way(transfer, "before"):
        assert (await transfer.step(_WINDOW)).state == _S.UNKNOWN
        assert (await transfer.step(_SPACING)).state == _S.MANUAL_REVIEW
        if kind is _A.SETTLE_PAYOUT:
            await transfer.decide(kind, reason="paid_outside", reference="cheque 7")
        else:
            await transfer.decide(_A.REFUSE_PAYOUT)
        await transfer.step()
        if kind is _A.CANCEL_PAYOUT:
            await transfer.decide(kind)
            await transfer.step()
    assert transfer.paid() == [(AMOUNT_MINOR, "USD")]
    (row,) = await sql(transfer.life, "SELECT * FROM payout WHERE id = :id", id=transfer.payout)
    assert (row.state, row.provider_reference) == _STANDS[kind]
    assert (row.why or "").endswith("the rail shows that it paid after all, as tr_1")
    # Nor is that forgotten once somebody looks again; what nobody paid otherwise or gave up is settled by it then.
    await transfer.step()
    (again,) = await sql(transfer.life, "SELECT * FROM payout WHERE id = :id", id=transfer.payout)
    assert (again.state, again.why) == ((row.state, row.why) if kind is not _A.REFUSE_PAYOUT else (_S.SETTLED, None))
    await _books_hold(transfer)
    assert await _reconciled(transfer) == _DIFFERS[kind]


async def _reconciled(sending: Sending) -> list[str]:
    """How what the rail shows differs from what stands here."""
    database, rail = sending.life.database, sending.case.rail
    doing, name = Reconciliations(database, {rail.facts.name: rail}), rail.facts.name
    since, until = sending.now - timedelta(days=3650), sending.now + timedelta(days=7)  # the provider has its own clock
    async with database.transaction() as connection:
        later = sending.now + timedelta(hours=1)
        asked = await reconciliations.ask(connection, name, since, until, by="faye", at=later)
    request = ReconciliationRequest(reconciliation=str(asked), now=sending.now)
    await listed(doing, request)
    await compared(doing, request)
    async with database.transaction() as connection:
        return [str(each.kind) for _, each in await reconciliations.differences(connection, asked, after=None, limit=9)]


_DIFFERS: Final = {_A.SETTLE_PAYOUT: ["duplicate"], _A.REFUSE_PAYOUT: [], _A.CANCEL_PAYOUT: ["state"]}
_STANDS: Final = {
    _A.SETTLE_PAYOUT: (_S.SETTLED, "cheque 7"),
    _A.REFUSE_PAYOUT: (_S.MANUAL_REVIEW, "tr_1"),
    _A.CANCEL_PAYOUT: (_S.MANUAL_REVIEW, "tr_1"),
}
