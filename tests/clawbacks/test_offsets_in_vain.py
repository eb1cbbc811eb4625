"""An offset that no later payout keeps: people take it in another way or give it up; every unit is counted once."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from models.session import Database
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register.recording import subjects
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.books.checking import problems
from tests.clawbacks.paid import Cashier
from tests.patience import PATIENCE_SECONDS
from tests.rails.cases import OUTSIDE
from tests.seeds import seeds

A, _P = MoneyAct, PayoutState
_PAYEE: Final = "c-brie"
_OPERATIONS: Final = 40


@pytest.fixture
async def cashier(database_url: str) -> AsyncIterator[Cashier]:
    database = Database.at(database_url)
    async with OUTSIDE["stripe_transfer"]() as case:
        cashier = Cashier(database, case)
        await cashier.begun()
        yield cashier
    await database.close()


async def _takes(cashier: Cashier, case: UUID) -> dict[str, int | None]:
    """What the case takes, each act with the most that it may be over."""
    async with cashier.database.transaction() as connection:
        shown = await subjects.shown(connection, SubjectKind.CLAWBACK_CASE, case, cashier.keys)
    return {act.removesuffix("_clawback"): shown.rooms.get(act) for act in sorted(shown.takes)}


async def _offsets(cashier: Cashier) -> list[tuple[str, int, int, int]]:
    rows = await cashier.sql("SELECT * FROM clawback WHERE kind = 'offset' ORDER BY created_at")
    return [(row.state, row.amount_minor, row.recovered_minor, row.released_minor) for row in rows]


async def _sound(cashier: Cashier) -> None:
    async with cashier.database.transaction() as connection:
        assert [each async for each in problems(connection)] == []


async def test_what_no_payout_keeps_is_written_off(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    assert await _takes(cashier, case) == {"reverse": 2500, "write_off": 2500}
    await cashier.act(A.WRITE_OFF_CLAWBACK, case, 2500)
    assert await _offsets(cashier) == [("unrecoverable", 2500, 0, 2500)]
    assert await _takes(cashier, case) == {}
    assert await cashier.earns(2, 3000) == 0, "nothing is kept any more"
    assert [await cashier.balance(f"{each}") for each in (f"recoverable:{_PAYEE}", "loss:acme-friends")] == [0, 2500]
    await _sound(cashier)


async def test_of_one_that_was_kept_in_part_the_rest_is_taken_at_its_rail(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    assert await cashier.earns(2, 900) == 900
    reversal = await cashier.act(A.REVERSE_CLAWBACK, case, 1600)
    assert await _offsets(cashier) == [("offset", 2500, 900, 1600)]
    assert (await cashier.step(reversal)).state == "reversed"
    assert await _takes(cashier, case) == {"return": 2500}
    assert await cashier.balance(f"recoverable:{_PAYEE}") == 0
    await _sound(cashier)


async def test_a_reversal_in_its_place_that_fails_leaves_the_case_open(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    reversal = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    await cashier.sql("UPDATE clawback SET state = 'manual_review' WHERE id = :id", id=reversal)
    await cashier.act(A.REFUSE_CLAWBACK, case)
    (row,) = await cashier.sql("SELECT state FROM clawback_case WHERE id = :id", id=case)
    assert row.state == "open"
    assert await _takes(cashier, case) == {"dismiss": None, "offset": 2500, "reverse": 2500, "write_off": 2500}
    await _sound(cashier)


async def test_what_a_payout_under_way_keeps_is_not_given_up(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    payout, kept = await cashier.begins(2, 900)
    assert kept == 900
    assert await _takes(cashier, case) == {"reverse": 1600, "write_off": 1600}
    with pytest.raises(ActRefused, match=r"only 16\.00 USD remain"):
        await cashier.act(A.WRITE_OFF_CLAWBACK, case, 1601)
    await cashier.act(A.WRITE_OFF_CLAWBACK, case, 1600)
    assert await _offsets(cashier) == [("offsetting", 2500, 0, 1600)]
    assert await _takes(cashier, case) == {}
    # The payout fails and is cancelled: what it kept waits again, and no more than that.
    await cashier.ends(payout, _P.CANCELLED)
    assert await _takes(cashier, case) == {"reverse": 900, "write_off": 900}
    assert await cashier.earns(3, 5000) == 900
    assert await _offsets(cashier) == [("offset", 2500, 900, 1600)]
    await _sound(cashier)


async def test_what_was_given_up_stays_so_when_a_payout_comes_back(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    await cashier.act(A.WRITE_OFF_CLAWBACK, case, 1600)
    payout, kept = await cashier.begins(2, 1000)
    assert kept == 900
    await cashier.ends(payout, _P.SETTLED)
    assert await _offsets(cashier) == [("offset", 2500, 900, 1600)]
    await cashier.ends(payout, _P.RETURNED)
    assert await _offsets(cashier) == [("offsetting", 2500, 0, 1600)]
    assert await _takes(cashier, case) == {}, "the payout that came back still keeps its part"
    assert await cashier.balance(f"recoverable:{_PAYEE}") == 900
    await _sound(cashier)


async def test_in_an_open_case_the_rest_is_taken_before_what_waits(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 1000)
    assert await _takes(cashier, case) == {"dismiss": None, "offset": 1500, "reverse": 2500, "write_off": 2500}
    await cashier.act(A.WRITE_OFF_CLAWBACK, case, 1700)
    assert await _offsets(cashier) == [("offsetting", 1000, 0, 200)]
    (row,) = await cashier.sql("SELECT state FROM clawback_case WHERE id = :id", id=case)
    assert row.state == "decided"
    await _sound(cashier)


async def test_a_dismissed_case_gives_up_what_still_waits_and_stays_closed(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 1000)
    await cashier.act(A.DISMISS_CLAWBACK, case)
    assert await _takes(cashier, case) == {"reverse": 1000, "write_off": 1000}
    await cashier.act(A.WRITE_OFF_CLAWBACK, case, 400)
    assert await _takes(cashier, case) == {"reverse": 600, "write_off": 600}
    await _sound(cashier)


async def test_one_that_waited_for_ninety_days_may_be_ordered_again(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    with pytest.raises(ActRefused, match="in this state"):
        await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    await cashier.sql("UPDATE clawback SET updated_at = now() - interval '90 days'")
    assert await _takes(cashier, case) == {"offset": 2500, "reverse": 2500, "write_off": 2500}
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    assert await _offsets(cashier) == [("unrecoverable", 2500, 0, 2500), ("offsetting", 2500, 0, 0)]
    assert await _takes(cashier, case) == {"reverse": 2500, "write_off": 2500}
    await _sound(cashier)


@pytest.mark.parametrize("released_minor", [1601, -1])
async def test_the_database_releases_nothing_that_a_payout_keeps(cashier: Cashier, released_minor: int) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    await cashier.begins(2, 900)
    with pytest.raises(IntegrityError):
        await cashier.sql("UPDATE clawback SET released_minor = :released", released=released_minor)


async def test_a_payout_planned_first_keeps_its_part_and_the_decision_is_made_anew(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    async with cashier.database.transaction() as connection:
        digest = (await subjects.shown(connection, SubjectKind.CLAWBACK_CASE, case, cashier.keys)).digest
    async with cashier.database.transaction() as planning:
        _, kept = await cashier.plans(planning, 2, 900)
        giving_up = asyncio.create_task(cashier.act(A.WRITE_OFF_CLAWBACK, case, 2500, digest=digest))
        await _waits_for_the_payee(cashier)
    with pytest.raises(ActRefused, match="it changed since you looked"):
        await giving_up
    assert (kept, await _takes(cashier, case)) == (900, {"reverse": 1600, "write_off": 1600})
    await _sound(cashier)


async def test_a_payout_planned_second_keeps_only_what_is_left(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    await cashier.act(A.OFFSET_CLAWBACK, case, 2500)
    async with cashier.database.transaction() as deciding:
        await cashier.decides(deciding, A.WRITE_OFF_CLAWBACK, case, 2000)
        earning = asyncio.create_task(cashier.begins(2, 900))
        await _waits_for_the_payee(cashier)
    _, kept = await earning
    assert (kept, await _takes(cashier, case)) == (500, {})
    await _sound(cashier)


async def _waits_for_the_payee(cashier: Cashier) -> None:
    """Returns once a transaction waits for an advisory lock."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await cashier.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await asyncio.sleep(0.02)


@dataclass
class Oracle:
    """What was paid for the cases, and what became of it; every unit is in one place."""

    cases: dict[UUID, int] = field(default_factory=dict)
    under_way: dict[UUID, int] = field(default_factory=dict)
    settled: dict[UUID, int] = field(default_factory=dict)
    returned: dict[UUID, int] = field(default_factory=dict)
    #: Of what nothing is left to send nothing can come back.
    sent: set[UUID] = field(default_factory=set)
    written_off_minor: int = 0
    reversed_minor: int = 0
    waiting: dict[UUID, int] = field(default_factory=dict)

    @property
    def kept_minor(self) -> int:
        return sum(self.settled.values())

    @property
    def keeping_minor(self) -> int:
        return sum(self.under_way.values()) + sum(self.returned.values())


@pytest.mark.parametrize("seed", seeds(1, of=20))
@pytest.mark.suite_has(2)
async def test_what_was_paid_is_kept_taken_given_up_or_open_at_each_step(cashier: Cashier, seed: int) -> None:
    rng, oracle = random.Random(seed), Oracle()
    for number in range(1, _OPERATIONS + 1):
        operation = rng.choice((_paid_in_error, _gives_up, _gives_up, _begins, _begins, _ends, _ends, _comes_back))
        await operation(cashier, oracle, rng, number)
        await _counts(cashier, oracle)


async def _paid_in_error(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    """A reward is paid that was not earned, and all of it is to be kept from later ones."""
    amount_minor = rng.choice((500, 1200, 2500))
    (case,) = await cashier.paid(number, amount_minor)
    await cashier.act(A.OFFSET_CLAWBACK, case, amount_minor)
    oracle.cases[case] = oracle.waiting[case] = amount_minor


async def _gives_up(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    """A part of what waits in a case, or one unit too much, is written off or taken at the rail."""
    if not oracle.cases:
        return
    case, kind = rng.choice(list(oracle.cases)), rng.choice((A.WRITE_OFF_CLAWBACK, A.REVERSE_CLAWBACK))
    open_minor = (await _takes(cashier, case)).get("write_off") or 0
    amount_minor = rng.choice((1, open_minor // 2, open_minor, open_minor + 1))
    if amount_minor > open_minor or not amount_minor:
        if amount_minor:
            with pytest.raises(ActRefused):
                await cashier.act(kind, case, amount_minor, user=f"fiona-{number}")
        return
    clawback = await cashier.act(kind, case, amount_minor, user=f"fiona-{number}")
    oracle.waiting[case] -= amount_minor
    if kind is A.WRITE_OFF_CLAWBACK:
        oracle.written_off_minor += amount_minor
    else:
        assert (await cashier.step(clawback)).state == "reversed"
        oracle.reversed_minor += amount_minor


async def _begins(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    open_minor = sum(oracle.waiting.values()) - oracle.kept_minor - oracle.keeping_minor
    earned_minor = rng.choice((100, 900, 2500))
    payout, kept_minor = await cashier.begins(1000 + number, earned_minor)
    assert kept_minor == min(earned_minor, open_minor)
    oracle.under_way[payout] = kept_minor
    if kept_minor < earned_minor:
        oracle.sent.add(payout)


async def _ends(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    if not oracle.under_way:
        return
    payout = rng.choice(list(oracle.under_way))
    state = rng.choice((_P.SETTLED, _P.SETTLED, _P.CANCELLED))
    await cashier.ends(payout, state)
    kept_minor = oracle.under_way.pop(payout)
    if state is _P.SETTLED:
        oracle.settled[payout] = kept_minor


async def _comes_back(cashier: Cashier, oracle: Oracle, rng: random.Random, number: int) -> None:
    if back := [payout for payout in oracle.settled if payout in oracle.sent]:
        payout = rng.choice(back)
        await cashier.ends(payout, _P.RETURNED)
        oracle.returned[payout] = oracle.settled.pop(payout)


async def _counts(cashier: Cashier, oracle: Oracle) -> None:
    """The register, the books and what the payee owes say one number for each of the four."""
    await _sound(cashier)
    (row,) = await cashier.sql(_COUNTED)
    async with cashier.database.reading() as connection:
        owed = {each.currency: each for each in await reporting.owed(connection, _PAYEE)}
    kept_minor, keeping_minor = oracle.kept_minor, oracle.keeping_minor
    open_minor = keeping_minor + row.waiting_minor
    taken_minor = oracle.reversed_minor + oracle.written_off_minor
    assert sum(oracle.cases.values()) == kept_minor + taken_minor + open_minor
    assert row.recovered_minor == kept_minor + oracle.reversed_minor
    assert row.written_off_minor == oracle.written_off_minor
    assert await cashier.balance(f"recoverable:{_PAYEE}") == open_minor
    assert await cashier.balance("loss:acme-friends") == oracle.written_off_minor
    if open_minor:
        assert (owed["USD"].owed_minor, owed["USD"].kept_minor) == (open_minor, keeping_minor)


_COUNTED: Final = """
SELECT coalesce(sum(waiting_of(b)), 0) AS waiting_minor, coalesce(sum(recovered_minor), 0) AS recovered_minor,
       coalesce(sum(amount_minor) FILTER (WHERE state = 'written_off'), 0) AS written_off_minor
FROM clawback b
"""
