"""Random sequences of payments, decisions, broken calls and offsets, against an oracle written out here.

Never more is taken than was paid, the provider holds what our books say, and the register's own check of the books
finds nothing at any moment.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from models.session import Database
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import ActRefused
from referral_rewards.local.sandbox import stripe
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.local.sandbox.stripe import Stripe
from referral_rewards.reporting.books.checking import problems
from tests.clawbacks.paid import Cashier
from tests.rails.cases import OUTSIDE
from tests.seeds import seeds

A = MoneyAct
_ACTS: Final = (A.REVERSE_CLAWBACK, A.OFFSET_CLAWBACK, A.WRITE_OFF_CLAWBACK)
_TAKING: Final = frozenset({"approved", "reversing", "unknown", "manual_review"})
_OPERATIONS: Final = 45


@dataclass
class Paid:
    """A paid leg as the oracle remembers it, and what was decided about it."""

    case: UUID
    payout: int
    paid_minor: int
    given_up_minor: int = 0
    owed_minor: int = 0
    reversals: dict[UUID, int] = field(default_factory=dict)
    reversed_minor: int = 0

    @property
    def taken_minor(self) -> int:
        return self.given_up_minor + self.owed_minor + self.reversed_minor + sum(self.reversals.values())


@dataclass
class Oracle:
    """What there should be after each operation."""

    legs: list[Paid] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)
    #: What payees owe that nothing was kept for yet; all of it is one payee's here.
    offset_open_minor: int = 0

    def room(self, leg: Paid, act: MoneyAct) -> int:
        left = leg.paid_minor - leg.taken_minor
        if act is not A.REVERSE_CLAWBACK:
            return left
        others = [each for each in self.legs if each.payout == leg.payout]
        gone = sum(each.reversed_minor + sum(each.reversals.values()) for each in others)
        return min(left, self.sent[leg.payout] - gone)


@pytest.fixture
async def cashier(database_url: str) -> AsyncIterator[Cashier]:
    database = Database.at(database_url)
    async with OUTSIDE["stripe_transfer"]() as case:
        cashier = Cashier(database, case)
        await cashier.begun()
        yield cashier
    await database.close()


@pytest.mark.parametrize("seed", seeds(1, of=12))
async def test_whatever_is_decided_and_breaks_no_more_is_taken_than_was_paid(cashier: Cashier, seed: int) -> None:
    rng, oracle = random.Random(seed), Oracle()
    for number in range(1, _OPERATIONS + 1):
        operation = rng.choice((_pay, _act, _act, _act, _step, _step, _settle_a_payout))
        await operation(cashier, oracle, rng, number)
        await _holds(cashier, oracle)
    for leg in oracle.legs:
        for clawback in list(leg.reversals):
            cashier.case.provider.heal()
            await _finish(cashier, leg, clawback)
    await _holds(cashier, oracle)
    assert not any(leg.reversals for leg in oracle.legs)


async def _pay(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    legs = rng.choice((1, 1, 2, 3))
    share = rng.choice((500, 1200, 2500))
    cashier.case.provider.heal()
    cases = await cashier.paid(number, share * legs, legs=legs)
    oracle.legs += [Paid(case, number, share) for case in cases]
    oracle.sent[number] = share * legs


async def _act(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    """A decision over a random amount, recorded exactly if there is so much left."""
    if not oracle.legs:
        return
    leg, kind = rng.choice(oracle.legs), rng.choice(_ACTS)
    amount_minor = rng.choice((1, leg.paid_minor // 3, leg.paid_minor // 2, leg.paid_minor, leg.paid_minor + 1))
    await cashier.sql("UPDATE clawback_case SET state = 'open' WHERE id = :id", id=leg.case)
    acting = cashier.act(kind, leg.case, amount_minor, user=f"fiona-{number}")
    if amount_minor > oracle.room(leg, kind):
        with pytest.raises(ActRefused) as refused:
            await acting
        assert refused.value.rule in {"too_much", "not_now"}
        return
    clawback = await acting
    match kind:
        case A.REVERSE_CLAWBACK:
            assert clawback is not None
            leg.reversals[clawback] = amount_minor
        case A.OFFSET_CLAWBACK:
            leg.owed_minor += amount_minor
            oracle.offset_open_minor += amount_minor
        case _:
            leg.given_up_minor += amount_minor


async def _step(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    """A reversal carried one step further, perhaps by a call that breaks."""
    under_way = [(leg, clawback) for leg in oracle.legs for clawback in leg.reversals]
    if not under_way:
        return
    leg, clawback = rng.choice(under_way)
    broken = (Fault.NOT_REACHED, Fault.REPLY_LOST, Fault.TOO_MANY, Fault.GATEWAY, Fault.SHUT, Fault.BROKEN_AFTER)
    if rng.random() < 0.5:
        cashier.case.provider.fail(rng.choice(broken), method=rng.choice(("POST", "GET")))
    progress = await cashier.step(clawback, timedelta(minutes=rng.choice((0, 5, 60))))
    cashier.case.provider.heal()
    assert progress.state in _TAKING | {"reversed"}, progress
    if progress.state == "reversed":
        leg.reversed_minor += leg.reversals.pop(clawback)


async def _settle_a_payout(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    """The payee earns something else, from which what is owed is kept."""
    earned = rng.choice((100, 900, 2500))
    kept = await cashier.earns(1000 + number, earned)
    assert kept == min(earned, oracle.offset_open_minor)
    oracle.offset_open_minor -= kept


async def _finish(cashier: Cashier, leg: Paid, clawback: UUID) -> None:
    """Carries a reversal to its end; what is too old to be sent again a person finds not done, or done."""
    progress = await cashier.step(clawback, timedelta(minutes=5))
    while progress.again_after is not None:
        progress = await cashier.step(clawback, progress.again_after)
    if progress.state == "manual_review":
        await cashier.act(A.REFUSE_CLAWBACK, leg.case)
    else:
        assert progress.state == "reversed"
        leg.reversed_minor += leg.reversals[clawback]
    del leg.reversals[clawback]


async def _holds(cashier: Cashier, oracle: Oracle) -> None:
    async with cashier.database.transaction() as connection:
        assert [each async for each in problems(connection)] == []
    assert all(leg.taken_minor <= leg.paid_minor for leg in oracle.legs)
    under_way = sum(sum(leg.reversals.values()) for leg in oracle.legs)
    assert await cashier.balance("recoverable:c-brie") == under_way + oracle.offset_open_minor
    assert await cashier.balance("loss:acme-friends") == sum(leg.given_up_minor for leg in oracle.legs)
    assert isinstance(cashier.case.provider, Stripe)
    back = {each["metadata"]["reversal"]: each["amount"] for each in cashier.case.provider.of(stripe.REVERSAL)}
    assert len(back) == len(cashier.case.provider.of(stripe.REVERSAL))
    rows: list[Any] = await cashier.sql("SELECT provider_key, amount_minor, state FROM clawback WHERE kind = 'reverse'")
    ours = {row.provider_key: row.amount_minor for row in rows}
    done = {row.provider_key for row in rows if row.state == "reversed"}
    # What the provider took is what was decided; what we hold as taken it has taken.
    assert back.items() <= ours.items()
    assert done <= back.keys()
