"""Something commits right before each statement of a payment in turn: it stops the payment, or waits until that is on
record, or a second worker pays nothing a second time."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only

from models.session import Database, engine
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.programs.terms import Role
from tests.installation import Installation
from tests.rails.conftest import Opener
from tests.rails.sending import AMOUNT_MINOR, Sending
from tests.workflows.scenes import sql

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

_ROLES: Final = (Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS)


class Impatient(Database):
    """Gives up on a lock at once, instead of waiting for whoever waits for it."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with super().transaction() as connection:
            await connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
            yield connection


async def _refund(sending: Sending, other: Installation) -> None:
    told = {"order": "o-r1", "kind": "refund"}
    await other.record("conversion.reversed", sending.now - timedelta(seconds=1), told)


async def _dispute(sending: Sending, other: Installation) -> None:
    await other.record("conversion.dispute_opened", sending.now - timedelta(seconds=1), {"order": "o-r1"})


async def _hold(sending: Sending, other: Installation) -> None:
    await other.decide("r1", DecisionKind.HOLD, roles=_ROLES)


async def _deny(sending: Sending, other: Installation) -> None:
    await other.decide("r1", DecisionKind.DENY, roles=_ROLES)


async def _second_worker(sending: Sending, other: Installation) -> None:
    mine, sending.life = sending.life, other
    try:
        await sending.step()
    finally:
        sending.life = mine


Deed = Callable[[Sending, Installation], Awaitable[None]]
#: Each of them takes hold of the referral, as the payment does, so that one of the two comes first.
_STOPS: Final = {"refund": _refund, "dispute": _dispute, "hold": _hold, "deny": _deny}


@asynccontextmanager
async def _beside(sending: Sending) -> AsyncIterator[Installation]:
    """The same installation over connections of its own."""
    url = sending.life.database._engine.url.render_as_string(hide_password=False)
    database, life = Impatient(engine(url)), sending.life
    try:
        yield Installation(database, life.environment, life.queue, signer=life.signer, ids=itertools.count(5000))
    finally:
        await database.close()


async def _step_with(sending: Sending, number: int, deed: Callable[[], Awaitable[Any]]) -> bool:
    """Takes a step with a deed right before its statement of that number; whether it has so many."""
    count = itertools.count()
    listens = sending.life.database._engine.sync_engine

    def before(*_: Any) -> None:
        if next(count) == number:
            await_only(deed())

    event.listen(listens, "before_cursor_execute", before)
    try:
        await sending.step()
    finally:
        event.remove(listens, "before_cursor_execute", before)
    return next(count) > number


@pytest.mark.parametrize("deed", _STOPS.values(), ids=_STOPS)
async def test_what_commits_before_the_attempt_stops_it_at_whichever_statement(deed: Deed, opened: Opener) -> None:
    outcomes = set()
    for number in itertools.count():
        async with opened("stripe_transfer") as sending, _beside(sending) as other:
            stops = False

            async def commit(sending: Sending = sending, other: Installation = other) -> None:
                nonlocal stops
                [before] = await sql(other, "SELECT first_sent_at FROM payout WHERE id = :id", id=sending.payout)
                try:
                    await deed(sending, other)
                except OperationalError:
                    return
                stops = before.first_sent_at is None

            if not await _step_with(sending, number, commit):
                break
            assert sending.paid() == ([] if stops else [(AMOUNT_MINOR, "USD")]), number
            outcomes.add(stops)
    assert outcomes == {True, False}


async def test_two_workers_pay_once_whichever_statement_the_second_comes_at(opened: Opener) -> None:
    for number in itertools.count():
        async with opened("stripe_transfer") as sending, _beside(sending) as other:

            async def second(sending: Sending = sending, other: Installation = other) -> None:
                try:
                    await _second_worker(sending, other)
                except OperationalError:
                    return

            if not await _step_with(sending, number, second):
                break
            await sending.step(timedelta(minutes=1))
            assert await sending.settled_once(), number
