"""The queue is kept equal to what waits for a person, whatever happens and in whatever order."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.domain.overdue import patience
from referral_rewards.domain.payouts import PayoutState
from referral_rewards.domain.terms import Role
from referral_rewards.register import payouts, programs, queue, reservations
from tests.desk import Desk, days_ago, event, life_of
from tests.desk import desk as open_desk
from tests.oracle_of_queue import as_kept, by_reading_everything

#: Those whose return period is over once all is told, and those who can still be waited for.
LONG_AGO, LATELY = ("a", "b", "c", "d", "e", "f"), ("g", "h", "i")
NAMES = (*LONG_AGO, *LATELY)


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_desk(database_url) as opened:
        await opened.add_user("olga", Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER)
        await opened.add_user("otto", Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER)
        yield opened


async def test_the_projection_is_what_reading_everything_comes_to(desk: Desk) -> None:
    history, seen = _History(desk, random.Random(2)), set()
    await history.begin()
    for _ in range(160):
        await history.go_on()
        async with desk.database.transaction() as connection:
            kept = await as_kept(connection)
            assert [tuple(each) for each in kept] == [tuple(each) for each in await by_reading_everything(connection)]
        seen |= {each.exception for each in kept}
    assert seen == {"approval", "late_fact", "clawback", "payout_manual_review", "payout_refused", "reported"}


class _History:
    """Anything that can happen to a few referrals, chosen by chance; each is judged as soon as it was told of."""

    def __init__(self, desk: Desk, rng: random.Random) -> None:
        self._desk, self._rng, self._told = desk, rng, 0
        self._lives = {name: life_of(name) for name in NAMES}

    async def begin(self) -> None:
        for name in LATELY:
            for number, fact in enumerate(self._lives[name]):
                fact["time"] = days_ago(9 - number).isoformat()
            await self._tell(self._lives[name].pop(0))
        for name in LONG_AGO:
            await self._tell(*self._lives.pop(name))
            await self._desk.judge(name)

    async def go_on(self) -> None:
        name = self._rng.choice(NAMES)
        acts = (self._live, self._decide, self._decide, self._pay, self._pay, self._afterwards, self._afterwards)
        await self._rng.choice(acts)(name)
        await self._desk.judge(name)

    async def _live(self, name: str) -> None:
        if left := self._lives.get(name):
            await self._tell(left.pop(0))

    async def _afterwards(self, name: str) -> None:
        by, order = {"referral": name, "by": "referrer"}, f"o-{name}"
        type_, data = self._rng.choice(
            [
                ("conversion.reported", {**by, "order": f"{order}-2"}),
                ("conversion.reported", {**by, "note": "bought in the store"}),
                ("referral.appealed", by),
                *[("conversion.reversed", {"order": order, "kind": "refund"})] * 3,
                ("conversion.dispute_opened", {"order": order}),
                ("conversion.recorded", _purchase(f"{order}-2")),
                ("consent.withdrawn", {"person": {"customer": f"c-{name}"}, "scope": "contact"}),
            ]
        )
        self._told += 1
        await self._tell(event(f"{name}-late-{self._told}", type_, days_ago(1), data))

    async def _tell(self, *facts: dict[str, Any]) -> None:
        told = await self._desk.tell(list(facts))
        assert told.status_code == 202, told.text

    async def _decide(self, name: str) -> None:
        kind = self._rng.choice(("approve", "approve", "approve", "hold", "release", "deny", "reopen", "reopen"))
        given = {"reason": "other"} if kind != "approve" else {}
        for user in ("olga", "otto"):
            await self._desk.decide(name, kind, as_=user, **given)

    async def _pay(self, name: str) -> None:
        """A payout goes a step further: begun, or answered for by its rail."""
        async with self._desk.database.transaction() as connection:
            planned = await reservations.payouts_of(connection, name)
        for payout in planned[: self._rng.randint(0, 2)]:
            now = datetime.now(UTC)
            async with self._desk.database.transaction() as connection:
                await payouts.commit_attempt(
                    connection, payout.id, now, self._desk.parts.keys, frozenset({payout.rail}), {}
                )
                if payout.state == PayoutState.APPROVED:
                    await connection.execute(_SENT, {"id": payout.id})
                    await connection.execute(_PAYING, {"referral": name})
                to = self._rng.choice((PayoutState.SETTLED, PayoutState.REFUSED, PayoutState.MANUAL_REVIEW))
                await payouts.note(connection, payout.id, to, now, reference="x", why="as it came out")


#: What committing an attempt writes once the sources have answered; who asks them is not at hand here.
_SENT = text("UPDATE payout SET first_sent_at = now(), state = 'sending' WHERE id = :id")
_PAYING = text("UPDATE referral SET status = 'paying' WHERE id = :referral")


def _purchase(order: str) -> dict[str, Any]:
    who = {"customer": "c-somebody", "email": "somebody@example.com"}
    return {"order": order, "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD"}


async def test_a_claim_before_its_approvers_says_when_it_is_overdue_and_one_on_hold_never_is(desk: Desk) -> None:
    await desk.referral("a")
    async with desk.database.transaction() as connection:
        terms = (await programs.versions(connection, "acme-friends"))[0][1]
        (waiting,) = await connection.execute(text("SELECT * FROM queue_entry"))
    until = patience(waiting.since, terms)
    assert (waiting.remind_at, waiting.escalate_at) == (until.remind_at, until.escalate_at)
    await desk.decide("a", "hold")
    await desk.judge("a")
    async with desk.database.transaction() as connection:
        (held,) = await connection.execute(text("SELECT * FROM queue_entry"))
    assert (held.status, held.remind_at, held.escalate_at) == ("on_hold", None, None)


async def test_the_sweep_dates_what_a_migration_put_into_the_queue(desk: Desk) -> None:
    for name in ("a", "b"):
        await desk.referral(name)
    dated = text("SELECT referral_id, remind_at, escalate_at FROM queue_entry ORDER BY referral_id")
    async with desk.database.transaction() as connection:
        before = (await connection.execute(dated)).all()
        await connection.execute(text("UPDATE queue_entry SET remind_at = NULL, escalate_at = NULL"))
        assert [await queue.date(connection, limit=1) for _ in range(3)] == [1, 1, 0]
        assert (await connection.execute(dated)).all() == before


async def test_a_verdict_that_stays_the_same_does_not_write_the_queue(desk: Desk) -> None:
    await desk.referral("a")
    version = text("SELECT xmin FROM queue_entry")
    async with desk.database.transaction() as connection:
        before = (await connection.execute(version)).scalar_one()
    await desk.judge("a")
    async with desk.database.transaction() as connection:
        assert (await connection.execute(version)).scalar_one() == before
