"""Whatever fails in whatever order, on the whole way from the approval on: in the end the provider's list is ours."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from activities.messages import PayoutProgress
from activities.payouts import Payouts
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.local.sandbox.provider import Fault
from tests.rails.conftest import Opener
from tests.rails.sending import AMOUNT_MINOR, KINDS, Sending

_S = PayoutState
#: TOO_SLOW is left to the contract: it has to be waited for.
FAULTS = [fault for fault in Fault if fault is not Fault.TOO_SLOW]
WAITS = [timedelta(minutes=minutes) for minutes in (0, 0, 5, 10, 90, 60 * 15, 60 * 26, 60 * 24 * 31)]


class KilledAfter(Payouts):
    """A worker that dies between the provider's reply and its record."""

    async def _note(self, *_: Any, **__: Any) -> PayoutProgress:
        raise SystemError("killed")


class KilledBefore(Payouts):
    """A worker that dies between the record of its attempt and the call."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._rails = {name: Dead() for name in self._rails}  # type: ignore[misc]


class Dead:
    """A rail that nobody lives to call."""

    def __getattr__(self, name: str) -> Any:
        raise SystemError("killed")


async def live_through(sending: Sending, rng: random.Random, acts: int) -> None:
    """Lets so much happen to a payout, and then has everything work and people do their part until it is at rest."""
    for _ in range(acts):
        sending.provider.heal()
        for _ in range(rng.randint(0, 2)):
            sending.provider.fail(rng.choice(FAULTS), method=rng.choice(["POST", "GET"]))
        sending.provider.poor = rng.random() < 0.2
        wait = rng.choice(WAITS)
        match rng.randint(0, 5):
            case 0:
                await _killed(sending, wait, rng.choice([KilledBefore, KilledAfter]))
            case 1:
                await asyncio.gather(sending.step(wait), sending.step())
            case 2:
                await _persons_part(sending, rng)
            case _:
                await sending.step(wait)
    sending.provider.heal()
    sending.provider.poor = False
    for _ in range(12):
        if (await sending.row()).state == _S.SETTLED:
            return
        await _persons_part(sending, rng)
        await sending.step(timedelta(hours=6))
    raise AssertionError(f"it stays {(await sending.row()).state}: {await sending.steps()}")


async def _killed(sending: Sending, wait: timedelta, worker: type[Payouts]) -> None:
    try:
        await sending.step(wait, worker)
    except SystemError:
        return


async def _persons_part(sending: Sending, rng: random.Random) -> None:
    """What people do about it: they look into the provider's own list before they say what is there."""
    row = await sending.row()
    if row.state in (_S.REFUSED, _S.WAITING_FUNDS) or (row.state == _S.MANUAL_REVIEW and row.key_used_at is None):
        await sending.decide(MoneyAct.RETRY_PAYOUT, "olga")
    elif row.state == _S.MANUAL_REVIEW and sending.paid():
        await sending.decide(MoneyAct.SETTLE_PAYOUT, reference="found by hand")
    elif row.state == _S.MANUAL_REVIEW:
        await sending.decide(MoneyAct.REFUSE_PAYOUT)


async def _lives(name: str, seed: int, opened: Opener, acts: int) -> None:
    async with opened(name) as sending:
        await live_through(sending, random.Random(seed), acts)
        assert sending.paid() == [(AMOUNT_MINOR, "USD")], await sending.steps()
        assert await sending.booked() == AMOUNT_MINOR
        await sending.step(timedelta(days=40))
        assert await sending.settled_once(), await sending.steps()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.suite_has(2)
async def test_what_the_provider_paid_is_what_is_settled_here(name: str, opened: Opener) -> None:
    for seed in range(2):
        await _lives(name, seed, opened, acts=6)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", KINDS)
async def test_however_long_the_schedule_of_faults_is(name: str, opened: Opener) -> None:
    for seed in range(100, 160):
        await _lives(name, seed, opened, acts=12)
