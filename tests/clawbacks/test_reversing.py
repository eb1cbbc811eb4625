"""A reversal carried out by its activity, with a provider over real HTTP: once, and never unsigned."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from activities.clawbacks import Clawbacks
from models.session import Database
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.errors import ActRefused
from referral_rewards.domain.payouts.advice import PROBE
from referral_rewards.domain.payouts.states import body_hash
from referral_rewards.local.sandbox import stripe
from referral_rewards.local.sandbox.paypal import PayPal
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.local.sandbox.stripe import Stripe
from referral_rewards.local.sandbox.tremendous import Tremendous
from referral_rewards.register.recording import subjects
from tests.clawbacks.paid import PROGRAM, Cashier
from tests.rails.cases import OUTSIDE, in_our_books
from tests.statements import counted

A = MoneyAct
MICROSECOND = timedelta(microseconds=1)
#: Measured; it may not rise.
_STATEMENTS_MAX = 10
_IN_PARTS = ("account_credit", "stripe_transfer", "stripe_balance")


@asynccontextmanager
async def _cashier(name: str, database_url: str) -> AsyncIterator[Cashier]:
    database = Database.at(database_url)
    try:
        async with in_our_books(database_url) if name == "account_credit" else OUTSIDE[name]() as case:
            if isinstance(case.provider, PayPal):
                case.provider.becomes = "UNCLAIMED"
            yield Cashier(database, case)
    finally:
        await database.close()


@pytest.fixture(params=OUTSIDE)
async def cashier(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Cashier]:
    async with _cashier(request.param, database_url) as cashier:
        yield cashier


@pytest.fixture
async def by_transfer(database_url: str) -> AsyncIterator[Cashier]:
    async with _cashier("stripe_transfer", database_url) as cashier:
        yield cashier


def taken(cashier: Cashier) -> int:
    """How many payments, or parts of them, the provider has taken back."""
    match cashier.case.provider:
        case Stripe() as provider:
            entries = [each for each in provider.of(stripe.ENTRY) if each["amount"] > 0]
            codes = [each for each in provider.of(stripe.CODE) if not each["active"]]
            return len(provider.of(stripe.REVERSAL)) + len(entries) + len(codes)
        case PayPal() as provider:
            items = [batch["items"][0] for batch in provider.batches.values()]
            return sum(item["transaction_status"] == "RETURNED" for item in items)
        case Tremendous() as provider:
            return sum(order["status"] == "CANCELED" for order in provider.orders.values())
    raise AssertionError


class Killed(Clawbacks):
    """A worker that dies between the provider's reply and its record."""

    async def _note(self, *_: Any, **__: Any) -> Any:
        raise SystemError("killed")


@pytest.mark.suite_has(2)
async def test_a_reward_is_taken_back_once_and_booked_once_whatever_breaks_on_the_way(cashier: Cashier) -> None:
    # Stripe keeps a 500 under the key: such a one ends with a person, as below.
    kept = {Fault.BROKEN} if isinstance(cashier.case.provider, Stripe) else set()
    faults = [fault for fault in Fault if fault not in {Fault.TOO_SLOW, *kept}]
    for number, fault in enumerate(faults, start=1):
        (case,) = await cashier.paid(number)
        clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
        cashier.case.provider.fail(fault)
        first = await cashier.step(clawback)
        assert first.state in {"unknown", "reversing", "reversed"}, fault
        cashier.case.provider.heal()
        cashier.case.provider.fail(Fault.REPLY_LOST, method="GET")
        second = await cashier.step(clawback, PROBE)
        assert second.state in {"unknown", "reversed"}, fault
        cashier.case.provider.heal()
        with pytest.raises(SystemError):
            await cashier.step(clawback, PROBE, Killed) if second.state != "reversed" else await _killed()
        last = await cashier.step(clawback, PROBE)
        assert (last.state, last.again_after) == ("reversed", None), fault
        assert (await cashier.step(clawback)).state == "reversed"
        assert taken(cashier) == number, fault
        assert await cashier.balance(f"clearing:{cashier.rail}") == 0
    assert await cashier.balance("recoverable:c-brie") == 0
    assert await cashier.balance(f"expense:{PROGRAM}") == 0
    rows = await cashier.sql("SELECT DISTINCT state, amount_minor - recovered_minor AS open_minor FROM clawback")
    assert rows == [("reversed", 0)]


async def test_a_reversal_takes_few_statements(by_transfer: Cashier) -> None:
    """Of the whole activity: its attempt, and what became of it, with the books and the referral's queue entry."""
    (case,) = await by_transfer.paid(1)
    clawback = await by_transfer.act(A.REVERSE_CLAWBACK, case, 2500)
    with counted() as sent:
        assert (await by_transfer.step(clawback)).state == "reversed"
    assert (sent.commits, len(sent.statements) <= _STATEMENTS_MAX) == (2, True), sent


async def _killed() -> None:
    raise SystemError("it was done before")


async def test_a_rail_that_lets_no_reversal_in_is_halted_until_one_is_let_in(by_transfer: Cashier) -> None:
    cashier = by_transfer
    first, second = [*await cashier.paid(1), *await cashier.paid(2)]
    one, other = await cashier.act(A.REVERSE_CLAWBACK, first, 2500), await cashier.act(A.REVERSE_CLAWBACK, second, 2500)
    cashier.case.provider.fail(Fault.FORBIDDEN)
    shut = await cashier.step(one)
    assert (shut.state, shut.again_after) == ("reversing", timedelta(hours=1))
    assert shut.why == "Stripe transfer refused our credentials: it answered 403 (more_permissions_required)"
    (halt,) = await cashier.sql("SELECT * FROM rail_halt")
    assert (halt.rail, halt.probed_at) == ("stripe_transfer", cashier.now)
    asked = len(cashier.case.provider.asked)
    waits = await cashier.step(other, PROBE - MICROSECOND)
    assert (waits.state, waits.why, waits.again_after) == ("approved", shut.why, MICROSECOND)
    assert len(cashier.case.provider.asked) == asked
    # No answer does not say that we are let in.
    cashier.case.provider.fail(Fault.GATEWAY)
    assert (await cashier.step(other, MICROSECOND)).state == "unknown"
    assert len(await cashier.sql("SELECT * FROM rail_halt")) == 1
    assert (await cashier.step(other, PROBE)).state == "reversed"
    assert await cashier.sql("SELECT * FROM rail_halt") == []
    assert (await cashier.step(one)).state == "reversed"
    assert taken(cashier) == 2


@pytest.mark.suite_has(2)
async def test_two_workers_on_one_reversal_take_it_back_once(cashier: Cashier) -> None:
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    with pytest.raises(SystemError):
        await cashier.step(clawback, cls=Killed)
    assert (await cashier.step(clawback)).state == "reversed"
    assert taken(cashier) == 1
    assert await cashier.balance(f"clearing:{cashier.rail}") == 0


@pytest.mark.suite_has(3)
async def test_what_a_provider_does_not_give_back_is_before_a_person_again(cashier: Cashier) -> None:
    provider = cashier.case.provider
    (case,) = await cashier.paid(1)
    match provider:
        case PayPal():
            next(iter(provider.batches.values()))["items"][0]["transaction_status"] = "SUCCESS"
        case Tremendous():
            next(iter(provider.orders.values()))["redeemed"] = True
        case Stripe() if cashier.rail == "stripe_promotion":
            provider.of(stripe.CODE)[0]["times_redeemed"] = 1
        case _:
            return  # It takes back whatever it has paid.
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    assert (await cashier.step(clawback)).state == "unrecoverable"
    (row,) = await cashier.sql("SELECT state FROM clawback_case")
    assert row.state == "open"
    assert await cashier.balance("recoverable:c-brie") == 0
    assert await cashier.balance(f"expense:{PROGRAM}") == 2500
    await cashier.act(A.OFFSET_CLAWBACK, case, 2000)
    await cashier.act(A.WRITE_OFF_CLAWBACK, case, 500)
    assert await cashier.balance("recoverable:c-brie") == 2000
    assert await cashier.balance(f"loss:{PROGRAM}") == 500


@pytest.mark.parametrize("name", _IN_PARTS)
async def test_each_leg_of_a_payout_is_taken_back_by_its_own_part(name: str, database_url: str) -> None:
    async with _cashier(name, database_url) as cashier:
        one, other = await cashier.paid(1, 2000, legs=2)
        for case, amount_minor in ((one, 1000), (other, 400), (other, 600)):
            await cashier.sql("UPDATE clawback_case SET state = 'open' WHERE id = :id", id=case)
            clawback = await cashier.act(A.REVERSE_CLAWBACK, case, amount_minor)
            assert (await cashier.step(clawback)).state == "reversed"
        assert await cashier.balance(f"clearing:{name}") == 0
        assert await cashier.balance("recoverable:c-brie") == 0


async def test_past_the_window_it_is_only_looked_for_and_then_put_before_a_person(by_transfer: Cashier) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    for after in (timedelta(0), timedelta(hours=1)):
        cashier.case.provider.fail(Fault.NOT_REACHED)
        assert (await cashier.step(clawback, after)).state == "unknown"
    first = await cashier.step(clawback, timedelta(hours=19))
    assert (first.state, first.again_after) == ("unknown", timedelta(hours=1))
    assert (await cashier.step(clawback, timedelta(minutes=30))).again_after == timedelta(minutes=30)
    assert (await cashier.step(clawback, timedelta(minutes=30))).state == "manual_review"
    assert taken(cashier) == 0
    (subject,) = await cashier.sql("SELECT state FROM clawback_case")
    assert subject.state == "decided"
    await cashier.act(A.SETTLE_CLAWBACK, case, reference="trr_1")
    assert ((row := await cashier.row(clawback)).state, row.provider_reference) == ("reversed", "trr_1")
    assert await cashier.balance("clearing:stripe_transfer") == 0


async def test_what_a_person_finds_was_not_taken_back_can_be_decided_anew(by_transfer: Cashier) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    cashier.case.provider.fail(Fault.NOT_REACHED)
    await cashier.step(clawback)
    for hours in (20, 1):
        await cashier.step(clawback, timedelta(hours=hours))
    await cashier.act(A.REFUSE_CLAWBACK, case)
    assert (await cashier.row(clawback)).state == "unrecoverable"
    again = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    assert (await cashier.step(again)).state == "reversed"
    assert taken(cashier) == 1
    assert await cashier.balance("recoverable:c-brie") == 0


async def test_of_a_payment_that_came_back_by_itself_nothing_is_taken_back(by_transfer: Cashier) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    await cashier.sql("UPDATE payout SET state = 'returned'")
    await cashier.sql("UPDATE leg SET state = 'reserved'")
    assert (await cashier.step(clawback)).state == "unrecoverable"
    assert taken(cashier) == 0
    assert await cashier.balance("recoverable:c-brie") == 0


# Rows that somebody wrote who holds no signing key.

_COPIED = """
INSERT INTO clawback (id, case_id, leg_id, payout_id, referral_id, payee, kind, amount_minor, currency, recovered_minor,
                      body, body_hash, generation, provider_key, state, decision_id, created_at, updated_at)
SELECT gen_random_uuid(), case_id, leg_id, payout_id, referral_id, payee, 'reverse', :amount, currency, 0,
       jsonb_set(body, '{amount_minor}', to_jsonb(CAST(:amount AS bigint))), body_hash, 1, gen_random_uuid() || '-1',
       'approved', decision_id, now(), now() FROM clawback
RETURNING id, body
"""


async def test_a_reversal_that_nobody_signed_takes_nothing_back(by_transfer: Cashier) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    await cashier.act(A.WRITE_OFF_CLAWBACK, case, 1000)
    ((forged, body),) = await cashier.sql(_COPIED, amount=1500)
    await cashier.sql(
        "UPDATE clawback SET body_hash = :hash, provider_key = :key WHERE id = :id",
        hash=body_hash(body), key=f"{forged}-1", id=forged,
    )  # fmt: skip
    stopped = await cashier.step(forged)
    assert stopped.state == "manual_review"
    assert "no signed decision" in (stopped.why or "")
    assert taken(cashier) == 0


@pytest.mark.parametrize("change", ["body = jsonb_set(body, '{reference}', '\"tr_2\"')", "provider_key = 'other'"])
async def test_a_reversal_changed_after_its_decision_is_not_sent(by_transfer: Cashier, change: str) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 1000)
    await cashier.sql(f"UPDATE clawback SET {change}")
    assert (await cashier.step(clawback)).state == "manual_review"
    assert taken(cashier) == 0


@pytest.mark.suite_has(3)
async def test_a_reversal_takes_nothing_back_of_a_payment_that_somebody_put_in_the_place_of_its_own(
    cashier: Cashier,
) -> None:
    """Somebody else's payment: the row of ours says that it bears that one's reference."""
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 2500)
    await cashier.paid(2)
    (row,) = await cashier.sql("SELECT * FROM clawback")
    (other,) = await cashier.sql("SELECT provider_reference FROM payout WHERE id <> :id", id=row.payout_id)
    body = {**row.body, "reference": other.provider_reference}
    await cashier.sql(
        "UPDATE payout SET provider_reference = :other WHERE id = :id", other=body["reference"], id=row.payout_id
    )
    for change in ({}, {"body": json.dumps(body), "hash": body_hash(body)}):
        await cashier.sql("UPDATE clawback SET state = 'approved'")
        if change:
            await cashier.sql("UPDATE clawback SET body = CAST(:body AS jsonb), body_hash = :hash", **change)
        assert (await cashier.step(clawback)).state == "manual_review"
        assert taken(cashier) == 0


async def test_a_reversal_that_is_in_the_books_is_not_sent_again_whatever_its_row_says(by_transfer: Cashier) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 1000)
    await cashier.step(clawback)
    await cashier.sql("UPDATE clawback SET state = 'approved', first_sent_at = NULL, recovered_minor = 0")
    assert (await cashier.step(clawback)).state == "manual_review"
    assert taken(cashier) == 1


async def test_the_database_itself_refuses_to_take_more_than_was_paid_or_to_rewrite_a_decision(
    by_transfer: Cashier,
) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    clawback = await cashier.act(A.REVERSE_CLAWBACK, case, 1000)
    for statement in (
        _COPIED.replace(":amount", "1501"),
        "UPDATE clawback SET amount_minor = 2501",
        "UPDATE clawback SET payee = 'c-mallory'",
        "UPDATE clawback SET decision_id = gen_random_uuid()",
        "DELETE FROM clawback",
        "TRUNCATE clawback",
    ):
        with pytest.raises(IntegrityError):
            await cashier.sql(statement)
    await cashier.sql("UPDATE leg SET state = 'reserved'")
    with pytest.raises(IntegrityError):
        await cashier.sql(_COPIED.replace(":amount", "1"))
    assert (await cashier.row(clawback)).amount_minor == 1000


async def test_of_acts_of_two_people_at_once_one_is_recorded_and_the_other_told(by_transfer: Cashier) -> None:
    cashier = by_transfer
    (case,) = await cashier.paid(1)
    async with cashier.database.transaction() as connection:
        digest = (await subjects.shown(connection, SubjectKind.CLAWBACK_CASE, case, cashier.keys)).digest
    acts = (A.REVERSE_CLAWBACK, A.OFFSET_CLAWBACK, A.WRITE_OFF_CLAWBACK)
    made = await asyncio.gather(
        *(cashier.act(kind, case, 1000, user=f"fiona-{number}", digest=digest) for number, kind in enumerate(acts * 3)),
        return_exceptions=True,
    )
    refused = [each for each in made if isinstance(each, ActRefused)]
    assert len(refused) == len(made) - 1
    assert {each.rule for each in refused} <= {"stale", "decided_meanwhile"}
    assert len(await cashier.sql("SELECT 1 FROM clawback")) == 1
