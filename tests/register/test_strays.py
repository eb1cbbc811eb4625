"""What belongs to no referral, or to one that nobody began, is in the queue: whatever comes, and in whatever order."""

import random
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import text

from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.register.queue import strays
from tests.desk import PROGRAM, Desk, days_ago, event
from tests.oracle_of_queue import as_kept, by_reading_everything
from tests.stuck.claims import judge_all

_CODES: Final = ("SPRING", "spr ing", "SUMMER-7", "autumn")
_PROGRAMS: Final = ("acme-friends", "acme-frends", "other")
_STRAYS: Final = {Waits.PARKED, Waits.UNLINKED_CLAIM, Waits.UNLINKED_ORDER}


async def test_the_queue_is_what_reading_everything_comes_to(desk: Desk) -> None:
    rng, seen = random.Random(7), set()
    for type_, data in _history(rng):
        told = await desk.tell([event(str(rng.random()), type_, days_ago(rng.randint(2, 60)), data)])
        assert told.status_code == 202, told.text
        if rng.random() < 0.02:
            await desk.publish(PROGRAM.replace("program: acme-friends", "program: other"))
        await judge_all(desk)
        async with desk.database.transaction() as connection:
            await strays.clear(connection)
            kept, expected = await as_kept(connection), await by_reading_everything(connection)
        assert _of(kept) == _of(expected)
        seen |= {each.exception for each in kept}
    assert seen >= _STRAYS


def _of(rows: list[Any]) -> list[tuple[Any, ...]]:
    """The entries, without since when what stands for many waits: the first of them may have found its referral."""
    return sorted(
        (tuple(each) if each[0] else tuple(each)[:3] + tuple(each)[4:] for each in rows), key=lambda each: repr(each)
    )


def _history(rng: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Anything that begins a referral, or does not, of a few people, codes, orders and programs."""
    for number in range(40):
        who = {"customer": f"c-{rng.randint(1, 12)}"}
        referral, code, program = f"r{rng.randint(1, 5)}", rng.choice(_CODES), rng.choice(_PROGRAMS)
        about = {"order": f"o-{number}", "kind": "purchase", "amount": "80.00", "currency": "USD", "customer": who}
        link = {"program": program, "referrer_code": code, "channel": "link"}
        yield rng.choice(
            [
                ("conversion.recorded", {**about, "coupon": code}),
                ("conversion.recorded", {**about, "coupon": code}),
                ("referrer.enrolled", {"referrer": f"f{rng.randint(1, 3)}", "program": program, "code": code}),
                ("referral.claimed", {**link, "referee": who, "consent": True}),
                ("referral.claimed", {"referral": referral, "referee": who, "consent": True}),
                ("satisfaction.rated", {"referral": referral, "by": "referrer", "score": 4}),
                (
                    "referral.sent",
                    {"referral": referral, "program": program, "referrer": "f1", "channel": "email", "referee": who},
                ),
            ]
        )


async def test_orders_without_a_code_or_of_a_code_that_nobody_has_are_normal(desk: Desk) -> None:
    who = {"customer": "c-1"}
    about = {"order": "o-1", "kind": "purchase", "amount": "80.00", "currency": "USD", "customer": who}
    for number, more in enumerate(({}, {"coupon": "TENOFF"}, {"coupon": "anna@example.com"}, {"coupon": 7})):
        facts = [event(f"b{number}", "conversion.recorded", days_ago(9), {**about, "order": f"o-{number}", **more})]
        assert (await desk.tell(facts)).status_code == 202
    async with desk.database.transaction() as connection:
        assert await as_kept(connection) == []
        kept = (
            await connection.execute(text("SELECT data->>'coupon' AS coupon FROM fact WHERE data ? 'coupon'"))
        ).all()
    assert [each.coupon for each in kept] == ["TENOFF"], "what may be personal stays with the personal data"


async def test_what_was_set_aside_comes_back_with_what_is_told_next(desk: Desk) -> None:
    sent = {"program": "acme-frends", "referrer": "dexter", "channel": "email", "referee": {"customer": "c-1"}}
    await desk.tell([event("1", "referral.sent", days_ago(9), {"referral": "r1", **sent})])
    assert await _set_aside(desk, "oscar", seen=1) == 201
    assert await _waiting(desk) == []
    await desk.tell([event("2", "referral.sent", days_ago(8), {"referral": "r2", **sent})])
    assert await _waiting(desk) == [("parked", "acme-frends", 2)]
    assert await _set_aside(desk, "oscar", seen=1) == 409, "more was told since"
    assert await _set_aside(desk, "ada", seen=2) == 403, "an administrator decides on nothing"
    assert await _set_aside(desk, "oscar", seen=2, note=" ") == 422
    assert await _set_aside(desk, "oscar", seen=2) == 201
    assert await _set_aside(desk, "oscar", seen=2) == 404, "it is there no more"
    async with desk.database.transaction() as connection:
        made = (
            await connection.execute(text("SELECT actor, subject FROM audit_event WHERE act LIKE 'exception.%'"))
        ).all()
        assert [tuple(each) for each in made] == [("oscar", "parked acme-frends")] * 2


async def test_what_a_decision_ends_is_not_set_aside(desk: Desk) -> None:
    await desk.referral("r1")
    asked = {"exception": "approval", "referral": "r1", "subject": "", "seen": 99, "note": "later"}
    made = await desk.api.post("/v1/queue/set-aside", json=asked, headers=desk.bearer("paula"))
    assert (made.status_code, made.json()["rule"]) == (409, "needs_decision")


async def _waiting(desk: Desk) -> list[tuple[str, str, int]]:
    listed = (await desk.get("/v1/claims")).json()["claims"]
    return [(each["exception"], each["subject"], each["seen"]) for each in listed]


async def _set_aside(desk: Desk, user: str, *, seen: int, note: str = "sent again") -> int:
    asked = {"exception": "parked", "referral": None, "subject": "acme-frends", "seen": seen, "note": note}
    return (await desk.api.post("/v1/queue/set-aside", json=asked, headers=desk.bearer(user))).status_code
