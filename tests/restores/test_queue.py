"""What waits after a restore stands in the queue from the transaction that finds it to the one that ends it."""

from typing import Final

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.rail_catalogue import OUTSIDE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import rail_halts
from tests.oracle_of_queue import as_kept, by_reading_everything
from tests.restores.registers import Restored, paid_as_another

_A = MoneyAct
_FOUND: Final = {"rail_halted", "rail_shut", "forgotten_payment"}


async def _entries(restored: Restored) -> list[str]:
    """The exceptions of rails and payments that stand in the queue, which is what reading everything comes to."""
    async with restored.after.life.database.transaction() as connection:
        kept = [tuple(each) for each in await as_kept(connection)]
        assert kept == [tuple(each) for each in await by_reading_everything(connection)]
    return sorted(each[1] for each in kept if each[1] in _FOUND)


async def test_each_rail_waits_until_it_is_opened_and_a_payment_until_its_payout_adopts_it(transfer: Restored) -> None:
    halted = ["rail_halted"] * len(OUTSIDE)
    await transfer.restore()
    assert await _entries(transfer) == ["forgotten_payment", *halted]
    assert (await transfer.after.step()).state == PayoutState.SETTLED
    assert await _entries(transfer) == halted
    await transfer.reopen()
    assert await _entries(transfer) == halted[1:]


async def test_a_payment_waits_until_it_is_assigned(transfer: Restored) -> None:
    await paid_as_another(transfer)
    (payment,) = await transfer.waiting()
    await transfer.decide(_A.ASSIGN_PAYMENT, payment.id, reference=transfer.after.payout)
    assert "forgotten_payment" not in await _entries(transfer)


async def test_a_payment_waits_until_it_is_disowned_and_is_not_found_again(transfer: Restored) -> None:
    await paid_as_another(transfer)
    (payment,) = await transfer.waiting()
    await transfer.decide(_A.DISOWN_PAYMENT, payment.id)
    assert "forgotten_payment" not in await _entries(transfer)


async def test_a_rail_that_does_not_let_us_in_waits_beside_its_other_halt_until_it_does(transfer: Restored) -> None:
    await transfer.restore()
    async with transfer.after.life.database.transaction() as connection:
        await rail_halts.halt(connection, "stripe_transfer", "it answered 401", transfer.after.now)
    assert (await _entries(transfer))[-1] == "rail_shut"
    await transfer.reopen()
    async with transfer.after.life.database.transaction() as connection:
        await rail_halts.halt(connection, "stripe_transfer", "it answered 403", transfer.after.now)
    assert (await _entries(transfer))[-1] == "rail_shut"
    async with transfer.after.life.database.transaction() as connection:
        await rail_halts.lift(connection, "stripe_transfer")
    assert "rail_shut" not in await _entries(transfer)
