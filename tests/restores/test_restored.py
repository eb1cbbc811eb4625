"""A register that is restored to before a payment pays nothing twice, though every provider has forgotten its keys."""

from datetime import timedelta

import pytest

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import ActRefused, RequestInvalid
from referral_rewards.domain.payouts.rail_catalogue import Sight
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register.restores import halting
from tests.rails.sending import AMOUNT_MINOR
from tests.restores.registers import Restored, paid_as_another
from tests.workflows.scenes import sql

_A = MoneyAct
_S = PayoutState
_ONCE = [(AMOUNT_MINOR, "USD")]


async def test_each_rail_pays_once_though_the_payment_was_forgotten(each: Restored) -> None:
    await each.restore()
    sent = len(each.after.posts())
    looked = await each.after.step()
    if each.after.case.rail.facts.sight is Sight.OURS:
        # A rail that lists nothing waits until a person has opened it. It still knows the key.
        assert looked.state == _S.APPROVED
        await each.reopen()
        assert (await each.after.step()).state == _S.SETTLED
    else:
        assert (looked.state, len(each.after.posts())) == (_S.SETTLED, sent)
        await each.reopen()
    assert await each.after.settled_once()
    assert await each.waiting() == ()


async def test_a_register_that_lacks_nothing_goes_on(transfer: Restored) -> None:
    kept = await transfer.mark(transfer.after)
    assert not await transfer.find(kept, timedelta())
    assert (await transfer.after.step()).state == _S.SETTLED
    assert await transfer.after.settled_once()


async def test_nothing_is_sent_while_the_rail_is_halted(transfer: Restored) -> None:
    kept = await transfer.pay()
    transfer.after.provider.objects.clear()
    assert await transfer.find(kept)
    halted = await transfer.after.step()
    assert halted.state == _S.APPROVED
    assert halted.why == "the register was restored to an earlier state and may have forgotten payments"
    with pytest.raises(ActRefused, match="its reconciliation is in progress"):
        await transfer.reopen()
    await transfer.reconcile()
    await transfer.reopen()
    assert (await transfer.after.step()).state == _S.SETTLED
    assert transfer.after.paid() == _ONCE


async def test_a_restore_is_recorded_once_and_a_second_one_again(transfer: Restored) -> None:
    kept = await transfer.pay()
    assert await transfer.find(kept)
    assert not await transfer.find(kept, timedelta())
    again = await transfer.mark(transfer.after)
    await sql(transfer.after.life, "ALTER TABLE register_restore DISABLE TRIGGER USER")
    await sql(transfer.after.life, "DELETE FROM restored_rail")
    await sql(transfer.after.life, "DELETE FROM register_restore")
    assert await transfer.find(again, timedelta())
    assert [row.number for row in await sql(transfer.after.life, "SELECT number FROM register_restore")] == [2]


async def test_a_payment_of_another_amount_goes_to_a_person(transfer: Restored) -> None:
    """The claim may have been approved for another amount before the restore."""
    kept = await transfer.pay()
    transfer.after.case.alter(factor=2)
    assert await transfer.find(kept)
    await transfer.reconcile()
    found = await transfer.after.step()
    assert (found.state, found.why) == (
        _S.MANUAL_REVIEW,
        "the rail shows 50.00 USD under our key, not what was asked",
    )
    assert len(transfer.after.paid()) == 1


async def test_a_payment_in_another_round_waits_until_a_person_assigns_it(transfer: Restored) -> None:
    await paid_as_another(transfer)
    await transfer.reopen()
    waits = await transfer.after.step()
    assert waits.state == _S.APPROVED
    assert waits.why is not None
    assert waits.why.endswith("a person must assign it")
    (payment,) = await transfer.waiting()
    with pytest.raises(RequestInvalid, match="there is no payout"):
        await transfer.decide(_A.ASSIGN_PAYMENT, payment.id, reference=str(payment.payout_id))
    await transfer.decide(_A.ASSIGN_PAYMENT, payment.id, reference=transfer.after.payout)
    assert (await transfer.after.step()).state == _S.SETTLED
    assert len(transfer.after.case.paid()) == 1
    assert await transfer.after.booked() == AMOUNT_MINOR


async def test_a_payment_that_belongs_to_nobody_here_holds_nothing_up(transfer: Restored) -> None:
    await paid_as_another(transfer)
    await transfer.reopen()
    (payment,) = await transfer.waiting()
    await transfer.decide(_A.DISOWN_PAYMENT, payment.id)
    assert await transfer.waiting() == ()
    assert (await transfer.after.step()).state == _S.SETTLED
    assert len(transfer.after.case.paid()) == 2


async def test_an_assignment_that_nobody_signed_adopts_nothing(transfer: Restored) -> None:
    await paid_as_another(transfer)
    await sql(transfer.after.life, f"UPDATE forgotten_payment SET assigned_to = '{transfer.payout}'")
    stopped = await transfer.after.step()
    assert stopped.state == _S.MANUAL_REVIEW
    assert len(transfer.after.case.paid()) == 1


async def test_a_forgotten_payment_is_found_once_and_kept(transfer: Restored) -> None:
    await paid_as_another(transfer)
    (payment,) = await transfer.waiting()
    assert (payment.destination, payment.amount_minor, payment.currency) == ("acct_dexter", AMOUNT_MINOR, "USD")
    async with transfer.after.life.database.transaction() as connection:
        await halting.told(connection, transfer.after.now - timedelta(days=9), transfer.after.now, by="faye")
    with pytest.raises(ActRefused, match="reconcile the rail from the moment of the restore until now"):
        await transfer.reopen()
    with pytest.raises(Exception, match="append-only"):
        await sql(transfer.after.life, "DELETE FROM forgotten_payment")


async def test_a_payout_that_was_planned_long_ago_is_looked_up_before_its_first_sending(transfer: Restored) -> None:
    """Whatever the mark knows of it."""
    await transfer.pay()
    transfer.after.provider.clock.pass_time(timedelta(days=2))
    transfer.after.now += timedelta(days=2)
    assert (await transfer.after.step()).state == _S.SETTLED
    assert await transfer.after.settled_once()
