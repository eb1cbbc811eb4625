"""How many statements the steps of a payout cycle take, however many payees its list has."""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import pytest

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.programs.terms import Role
from tests.desk import Desk, desk_after
from tests.register.cycling import Cycling, in_cycles
from tests.snapshots import Snapshots
from tests.statements import Sent, counted

GATHER_MAX: Final = 19
FREEZE_MAX: Final = 10
#: Of stopping and resuming; releasing reads the whole list beside.
TURN_MAX: Final = 6
#: Of the next payouts to be sent, or taken back.
BATCH_MAX: Final = 5
WAIT_MAX: Final = 4
#: Of asking whether all payouts are at rest.
AT_REST_MAX: Final = 5


@pytest.fixture
async def cycling(snapshots: Snapshots) -> AsyncIterator[Cycling]:
    async with desk_after(snapshots, _in_cycles) as desk:
        yield Cycling(desk)


async def _in_cycles(desk: Desk) -> None:
    await desk.publish(in_cycles())
    await desk.add_user("finn", Role.FINANCE)


async def _step(cycling: Cycling, cycle: UUID, limit: int) -> Sent:
    with counted() as sent:
        await cycling.step(cycle)
    assert (sent.commits, len(sent.statements) <= limit) == (1, True), sent
    return sent


@pytest.mark.parametrize("referrals", [("r1",), ("r1", "r2", "r3")], ids=["two payees", "four payees"])
async def test_a_batch_is_gathered_in_as_few_statements_for_many_payees_as_for_few(
    cycling: Cycling, referrals: tuple[str, ...]
) -> None:
    await cycling.approved(*referrals)
    cycle = await cycling.open()
    await _step(cycling, cycle, GATHER_MAX)
    assert len(await cycling.payouts(cycle)) == 1 + len(referrals)


async def test_each_other_step_takes_few_statements(cycling: Cycling) -> None:
    await cycling.approved("r1")
    cycle = await cycling.open()
    await cycling.step(cycle)
    states = []
    for act, limits in _LIFE:
        if act is not None:
            await cycling.act(cycle, act)
        for limit in limits:
            await _step(cycling, cycle, limit)
        states.append((await cycling.row(cycle)).state)
    assert states == ["frozen", "released", "stopped", "released"]


#: What is decided, if anything, and the limits of the steps that follow.
_LIFE: Final = (
    (None, (FREEZE_MAX, WAIT_MAX)),
    (MoneyAct.RELEASE_CYCLE, (TURN_MAX + 1, BATCH_MAX, BATCH_MAX, AT_REST_MAX)),
    (MoneyAct.STOP_CYCLE, (TURN_MAX, BATCH_MAX, BATCH_MAX, WAIT_MAX)),
    (MoneyAct.RESUME_CYCLE, (TURN_MAX, BATCH_MAX)),
)
