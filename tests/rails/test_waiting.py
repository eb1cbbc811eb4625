"""What a payout waits for, and for how long: a rail that lets nobody in, an answer, a second look."""

import asyncio
from datetime import timedelta

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.local.sandbox.provider import Fault
from tests.rails.conftest import Opener
from tests.rails.sending import Sending
from tests.workflows.scenes import sql

_S, _A = PayoutState, MoneyAct
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


async def test_past_its_window_a_payout_is_looked_for_twice_before_a_person_must_look(transfer: Sending) -> None:
    transfer.provider.fail(Fault.NOT_REACHED)
    await transfer.step()
    first = await transfer.step(timedelta(hours=20))
    assert (first.state, first.again_after) == (_S.UNKNOWN, HOUR)
    early = await transfer.step(timedelta(minutes=59))
    assert (early.state, early.again_after) == (_S.UNKNOWN, MINUTE)
    second = await transfer.step(MINUTE)
    assert (second.state, second.again_after) == (_S.MANUAL_REVIEW, None)
    assert len(transfer.posts()) == 1
    assert transfer.paid() == []


async def test_what_the_second_look_finds_is_adopted(transfer: Sending) -> None:
    transfer.provider.fail(Fault.REPLY_LOST)
    await transfer.step()
    transfer.provider.fail(Fault.GATEWAY, method="GET")
    assert (await transfer.step(timedelta(hours=21))).state == _S.UNKNOWN
    assert (await transfer.step(HOUR)).state == _S.SETTLED
    assert len(transfer.posts()) == 1
    assert await transfer.settled_once()


async def test_a_rail_that_finds_nothing_by_our_ids_is_not_asked_twice(opened: Opener) -> None:
    async with opened("paypal_payouts") as sending:
        sending.provider.fail(Fault.NOT_REACHED)
        await sending.step()
        assert (await sending.step(timedelta(days=29))).state == _S.MANUAL_REVIEW
        assert len(sending.posts()) == 1


async def test_an_answer_that_the_rail_only_repeats_is_left_to_look_ups_and_then_to_a_person(transfer: Sending) -> None:
    """Stripe keeps a 500 under our key: sending the same again would bring it for as long as the key is known."""
    transfer.provider.fail(Fault.BROKEN)
    first = await transfer.step()
    assert (first.state, first.again_after) == (_S.UNKNOWN, 5 * MINUTE)
    again = await transfer.step(5 * MINUTE)
    assert (again.state, again.again_after) == (_S.UNKNOWN, HOUR)
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    assert {each.headers["idempotency-key"] for each in transfer.posts()} == {transfer.key()}
    assert transfer.paid() == []
    await transfer.decide(_A.REFUSE_PAYOUT)
    assert (await transfer.step()).state == _S.REFUSED


async def test_an_account_of_ours_that_may_not_pay_halts_the_rail_and_refuses_nobody(opened: Opener) -> None:
    async with opened("paypal_payouts") as sending:
        sending.provider.poor, sending.provider.wrong = True, "SENDER_ACCOUNT_LOCKED"
        waits = await sending.step()
        assert (waits.state, waits.again_after) == (_S.WAITING_FUNDS, None)
        (halt,) = await sql(sending.life, "SELECT rail, why FROM rail_halt")
        assert (halt.rail, halt.why) == ("paypal_payouts", "PayPal did not pay it (SENDER_ACCOUNT_LOCKED)")
        sending.provider.poor = False
        await sending.decide(_A.RETRY_PAYOUT)
        still = await sending.step(9 * MINUTE)
        assert (still.state, still.again_after) == (_S.APPROVED, MINUTE)
        assert (await sending.step(MINUTE)).state == _S.SETTLED
        assert await sql(sending.life, "SELECT * FROM rail_halt") == []
        assert await sending.booked() == 2500


async def test_a_worker_that_was_away_for_long_goes_by_the_time_it_is(transfer: Sending) -> None:
    """The activity was scheduled while the key was known, and runs when it may be forgotten."""
    transfer.provider.fail(Fault.NOT_REACHED)
    await transfer.step()
    scheduled_at = transfer.now
    assert (await transfer.step(timedelta(hours=30), scheduled_at=scheduled_at)).state == _S.UNKNOWN
    assert len(transfer.posts()) == 1


async def test_a_rail_that_does_not_let_us_in_uses_up_no_window(transfer: Sending) -> None:
    for _ in range(2):
        transfer.provider.fail(Fault.SHUT, method="POST")
        shut = await transfer.step(timedelta(days=2))
        assert (shut.state, shut.again_after) == (_S.SENDING, timedelta(minutes=10))
        assert (await transfer.row()).key_used_at is None
    assert (await transfer.step(timedelta(days=2))).state == _S.SETTLED
    assert await transfer.settled_once()


async def test_a_window_that_began_with_a_lost_reply_runs_on_while_we_are_shut_out(transfer: Sending) -> None:
    transfer.provider.fail(Fault.NOT_REACHED)
    await transfer.step()
    transfer.provider.fail(Fault.FORBIDDEN, method="GET")
    assert (await transfer.step(HOUR)).state == _S.UNKNOWN
    assert (await transfer.row()).key_used_at is not None
    assert (await transfer.step(timedelta(hours=19))).state == _S.UNKNOWN
    assert (await transfer.step(HOUR)).state == _S.MANUAL_REVIEW
    assert len(transfer.posts()) == 1


async def test_while_a_rail_lets_nobody_in_one_payout_tries_it_and_the_others_wait(transfer: Sending) -> None:
    halt = "INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES ('stripe_transfer', :at, :at, :why)"
    await sql(transfer.life, halt, at=transfer.now, why="it answered 401")
    waits = await transfer.step(MINUTE)
    assert (waits.state, waits.again_after) == (_S.APPROVED, timedelta(minutes=9))
    assert waits.why == "Stripe transfer refused our credentials: it answered 401"
    assert transfer.provider.asked == []
    transfer.provider.fail(Fault.SHUT)
    assert (await transfer.step(timedelta(minutes=9))).state == _S.SENDING
    asked = len(transfer.provider.asked)
    assert (await transfer.step(timedelta(minutes=10) - MICROSECOND)).state == _S.SENDING
    assert len(transfer.provider.asked) == asked
    assert (await transfer.step(MICROSECOND)).state == _S.SETTLED
    assert await sql(transfer.life, "SELECT * FROM rail_halt") == []


async def test_of_two_that_come_at_once_one_tries_a_halted_rail(transfer: Sending) -> None:
    at = transfer.now - timedelta(hours=1)
    halt = "INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES ('stripe_transfer', :at, :at, 'shut')"
    await sql(transfer.life, halt, at=at)
    transfer.provider.fail(Fault.SHUT, Fault.SHUT)
    await asyncio.gather(transfer.step(), transfer.step())
    assert len(transfer.posts()) == 1


async def test_a_payout_says_when_it_is_due_next(transfer: Sending) -> None:
    transfer.provider.fail(Fault.NOT_REACHED)
    await transfer.step()
    assert (await transfer.row()).due_at == transfer.now + timedelta(minutes=5)
    assert (await transfer.step(timedelta(minutes=5))).state == _S.SETTLED
    row = await transfer.row()
    assert (row.due_at, row.settled_at) == (None, transfer.now)
