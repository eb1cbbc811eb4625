"""The queue is kept equal to what waits for a person, whatever happens and in whatever order."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.payouts.states import TRANSITIONS, PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import programs
from referral_rewards.register.claims import reservations
from referral_rewards.register.payouts import answers
from referral_rewards.register.payouts import sending as payouts
from referral_rewards.register.payouts.sending import Outset
from referral_rewards.register.queue import projection as queue
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.queue.counts import counts
from referral_rewards.reporting.queue.entries import page as shown
from referral_rewards.reporting.queue.filters import Filters
from tests.desk import Desk, days_ago, desk_after, event, life_of
from tests.oracle_of_queue import as_kept, by_reading_everything
from tests.snapshots import Snapshots

#: Those whose return period is over once all is told, and those who can still be waited for.
LONG_AGO, LATELY = ("a", "b", "c", "d", "e", "f"), ("g", "h", "i")
NAMES = (*LONG_AGO, *LATELY)


@pytest.fixture
async def desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, _with_two_of_all_roles) as opened:
        yield opened


async def _with_two_of_all_roles(opened: Desk) -> None:
    for name in ("olga", "otto"):
        await opened.add_user(name, Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER)


@pytest.mark.forges
async def test_the_projection_is_what_reading_everything_comes_to(desk: Desk) -> None:
    history, seen = _History(desk, random.Random(4)), set()
    await history.begin()
    for _ in range(160):
        await history.go_on()
        async with desk.database.transaction() as connection:
            kept = await as_kept(connection)
            assert [tuple(each) for each in kept] == [tuple(each) for each in await by_reading_everything(connection)]
        seen |= {each.exception for each in kept}
    paying = {f"payout_{state}" for state in ("manual_review", "refused", "returned", "waiting_funds", "unknown")}
    assert seen == {"approval", "late_fact", "appeal", "clawback", "reported", *paying}


class _History:
    """Anything that can happen to a few referrals, chosen by chance; each is judged as soon as it was told of."""

    def __init__(self, desk: Desk, rng: random.Random) -> None:
        self._desk, self._rng, self._told = desk, rng, 0
        self._lives = {name: life_of(name) for name in NAMES}
        self._answers: Counter[PayoutState | None] = Counter()

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
                *[("referral.claimed", {"referral": name, "referee": {"customer": f"c-{name}"}, "consent": True})] * 2,
                *[("conversion.reversed", {"order": order, "kind": "refund"})] * 3,
                ("conversion.dispute_opened", {"order": order}),
                ("conversion.recorded", _purchase(f"{order}-2", name if self._told % 2 else "somebody")),
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
                    connection, Outset(payout, {}, False), now, self._desk.parts.keys, frozenset({payout.rail}), {}
                )
                if payout.state == PayoutState.APPROVED:
                    await connection.execute(_SENT, {"id": payout.id})
                    await connection.execute(_PAYING, {"referral": name})
                if (to := self._answer(payout)) is None:
                    continue
                await answers.note(connection, payout.id, to, now, reference="x", why="as it came out")

    def _answer(self, payout: Any) -> PayoutState | None:
        """Of the states that its rail's answer can lead to, the one that was come to least."""
        sending = payout.state == PayoutState.APPROVED
        may = TRANSITIONS[PayoutState.SENDING if sending else PayoutState(payout.state)]
        to = min((each for each in _ANSWERS if each in may), key=lambda state: self._answers[state], default=None)
        self._answers[to] += 1
        return to


#: Where a rail's answers can lead.
_ANSWERS = (
    *(PayoutState.UNKNOWN, PayoutState.WAITING_FUNDS, PayoutState.SETTLED, PayoutState.RETURNED),
    *(PayoutState.REFUSED, PayoutState.MANUAL_REVIEW),
)
#: What committing an attempt writes once the sources have answered; who asks them is not at hand here.
_SENT = text("UPDATE payout SET first_sent_at = now(), key_used_at = now(), state = 'sending' WHERE id = :id")
_PAYING = text("UPDATE referral SET status = 'paying' WHERE id = :referral")


def _purchase(order: str, by: str) -> dict[str, Any]:
    who = {"customer": f"c-{by}"}
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


async def test_a_payout_of_unknown_outcome_waits_for_a_person_from_an_hour_on_without_a_write(desk: Desk) -> None:
    await desk.referral("a")
    await desk.decide("a", "approve")
    await desk.judge("a")
    since = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        await referrals.hold(connection, "a")
        await connection.execute(text("UPDATE payout SET state = 'unknown', updated_at = :at"), {"at": since})
        await queue.keep(connection, "a")
    for late, found in ((timedelta(hours=1) - timedelta(microseconds=1), 0), (timedelta(hours=1), 2)):
        async with desk.database.transaction() as connection:
            for asked in ({}, {"exception": "payout_unknown"}, {"sort": "newest"}, {"q": "a"}, {"program": "none"}):
                page = await shown(connection, desk.parts.keys, Filters.model_validate(asked), None, since + late)
                assert len(page.entries) == (0 if "program" in asked else found), (late, asked)
            assert str((await counts(connection, since + late)).all) == str(found)
    assert {each.since for each in page.entries} <= {since}


async def test_a_payout_of_several_referrals_has_one_entry_and_a_cycle_its_own_until_it_is_released(desk: Desk) -> None:
    for name in ("b", "a"):
        await desk.referral(name)
        await desk.decide(name, "approve")
        await desk.judge(name)
    cycle = uuid4()
    async with desk.database.transaction() as connection:
        await connection.execute(_CYCLE, {"id": cycle})
        await connection.execute(_ONE_FOR_BOTH, {"cycle": cycle})
        for name in ("b", "a", "b"):
            await referrals.hold(connection, name)
            await queue.keep(connection, name)
        await queue.keep_cycle(connection, cycle)
        kept = await as_kept(connection)
        assert [tuple(each) for each in kept] == [tuple(each) for each in await by_reading_everything(connection)]
        assert [(each.referral_id, each.exception) for each in kept] == [("", "cycle"), ("a", "payout_refused")]
        found = await shown(connection, desk.parts.keys, Filters(), None, datetime.now(UTC))
        assert [(each.referral, each.about) for each in found.entries] == [
            (None, "payout cycle of acme-friends, due on 2026-07-01"),
            ("a", "closed account"),
        ]
        assert all(each.to_do for each in found.entries)
        await connection.execute(text("UPDATE payout_cycle SET state = 'released'"))
        await queue.keep_cycle(connection, cycle)
        assert [each.exception for each in await as_kept(connection)] == ["payout_refused"]
        # Cancelled, and then paid after all: it stands with the first of the referrals whose rewards it was to pay.
        await connection.execute(text("UPDATE payout_leg SET live = false"))
        await connection.execute(
            text("UPDATE payout SET state = 'manual_review', first_sent_at = now() WHERE cycle_id = :cycle"),
            {"cycle": cycle},
        )
        for name in ("b", "a"):
            await queue.keep(connection, name)
        found = await shown(connection, desk.parts.keys, Filters(), None, datetime.now(UTC))
        assert [(each.referral, each.exception) for each in found.entries] == [("a", "payout_manual_review")]
        assert found.entries[0].to_do.startswith("The payout was cancelled, but the provider paid it.")
        for name in ("a", "b"):
            assert "manual_review" in [each.state for each in await reservations.payouts_of(connection, name)]


_CYCLE = text("""
INSERT INTO payout_cycle (id, program, due_on, version, currency, state, digest, summary, opened_at, frozen_at,
                          updated_at)
VALUES (:id, 'acme-friends', '2026-07-01', 1, 'USD', 'frozen', 'd', '{}', now(), now() - interval '1 minute', now())
""")
_ONE_FOR_BOTH = text("""
WITH one AS (
    UPDATE payout SET referral_id = NULL, cycle_id = :cycle, state = 'refused', why = 'closed account',
                      first_sent_at = now()
    WHERE id = (SELECT min(CAST(id AS text))::uuid FROM payout) RETURNING id
)
UPDATE payout_leg SET payout_id = one.id FROM one, leg
WHERE leg.id = leg_id AND leg.role = 'referrer' AND payout_id <> one.id
""")


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
