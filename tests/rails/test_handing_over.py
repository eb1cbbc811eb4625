"""What a payee must be given to have their reward is kept before it counts as paid, and by nobody read on the way."""

from datetime import timedelta
from typing import Any

import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import Handed, Paid, PayoutState, Unknown
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.local.sandbox.tremendous import Tremendous
from referral_rewards.rails.port import HandsOver
from referral_rewards.register.payouts import handovers
from tests.rails.cases import OUTSIDE, key
from tests.rails.conftest import Opener
from tests.rails.sending import Sending
from tests.workflows.scenes import sql

MINUTES = timedelta(minutes=5)


@pytest.mark.parametrize(("name", "kind"), [("tremendous", "link"), ("stripe_promotion", "code")])
async def test_a_rail_shows_what_is_handed_over_as_often_as_it_is_asked(name: str, kind: str) -> None:
    async with OUTSIDE[name]() as case:
        asked = case.request()
        paid = await case.rail.pay(asked, key(asked))
        assert isinstance(paid, Paid)
        assert isinstance(case.rail, HandsOver)
        first, second = [await case.rail.handover(asked, paid) for _ in range(2)]
        assert isinstance(first, Handed)
        assert (first.kind, first) == (kind, second)
        assert first.what not in repr((first, paid))
        assert len(case.paid()) == 1
        case.provider.fail(Fault.REPLY_LOST, method="POST" if name == "tremendous" else "GET")
        assert isinstance(await case.rail.handover(asked, paid), Unknown)
        other = Paid("nothing", 2500, "USD", asked.destination)
        assert isinstance(await case.rail.handover(asked, other), Unknown)


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name not in ("tremendous", "stripe_promotion")])
async def test_the_others_have_nothing_to_hand_over(name: str) -> None:
    async with OUTSIDE[name]() as case:
        assert not isinstance(case.rail, HandsOver)


async def _kept(sending: Sending) -> tuple[Any, ...]:
    async with sending.life.database.transaction() as connection:
        return await handovers.of_side(connection, "r1", Side.REFERRER)


@pytest.mark.parametrize("name", ["tremendous", "stripe_promotion"])
async def test_it_is_kept_with_the_payment_and_stands_in_no_row_of_the_payout(name: str, opened: Opener) -> None:
    async with opened(name) as sending:
        assert (await sending.step()).state == PayoutState.SETTLED
        (handed,) = await _kept(sending)
        assert await sending.settled_once()
        for table in ("payout", "payout_step", "handover", "leg", "outbox"):
            rows = await sql(sending.life, f"SELECT CAST(t AS text) AS said FROM {table} t")
            assert not [row for row in rows if handed.what in row.said], table


@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.NOT_REACHED, Fault.GATEWAY, Fault.BROKEN, Fault.SHUT])
async def test_a_card_counts_as_paid_only_once_its_link_is_kept(fault: Fault, opened: Opener) -> None:
    async with opened("tremendous") as sending:
        provider = sending.provider
        assert isinstance(provider, Tremendous)
        provider.becomes = "PENDING APPROVAL"
        assert (await sending.step()).state == PayoutState.ACCEPTED
        provider.move(sending.key(), "EXECUTED")
        provider.fail(fault)
        waits = await sending.step(MINUTES)
        assert (waits.state, waits.again_after) == (PayoutState.ACCEPTED, MINUTES)
        assert "what the payee gets of it" in (waits.why or "")
        assert await _kept(sending) == ()
        assert (await sending.step(MINUTES)).state == PayoutState.SETTLED
        assert len(await _kept(sending)) == 1
        assert await sending.settled_once()


async def test_a_card_that_a_person_found_at_the_provider_is_handed_over_too(opened: Opener) -> None:
    async with opened("tremendous") as sending:
        provider = sending.provider
        assert isinstance(provider, Tremendous)
        assert (await sending.step()).state == PayoutState.SETTLED
        (order,) = provider.orders.values()
        await sql(sending.life, "DELETE FROM handover")
        await sql(sending.life, "UPDATE payout SET state = 'manual_review', provider_reference = NULL")
        await sending.decide(MoneyAct.SETTLE_PAYOUT, reference=order["id"])
        assert (await sending.step()).state == PayoutState.SETTLED
        assert len(await _kept(sending)) == 1


async def test_another_payment_under_a_refused_key_is_for_a_person_to_look_at(opened: Opener) -> None:
    async with opened("tremendous") as sending:
        assert (await sending.step()).state == PayoutState.SETTLED
        sending.case.alter(factor=2)
        await sql(sending.life, "UPDATE payout SET state = 'refused', provider_reference = NULL")
        assert (await sending.step()).state == PayoutState.MANUAL_REVIEW
