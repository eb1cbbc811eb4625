"""Rewards that wait for a payment method: who has them in the queue, what they read there, and what they can do."""

import re

import pytest

from referral_rewards.domain.decisions.waiting import Waits
from tests.desk import Desk
from tests.snapshots import Snapshots
from tests.stuck.claims import furnished
from tests.stuck.money import Row
from tests.stuck.payees import PATH, REFERRAL, WAITING, approved, sign
from tests.stuck.stage import Copies, stage


@pytest.fixture
def copies(snapshots: Snapshots) -> Copies:
    return _COPIES.setdefault(id(snapshots), stage(snapshots, furnished, approved))


_COPIES: dict[int, Copies] = {}


async def _entries(desk: Desk) -> list[dict[str, object]]:
    waiting = (await desk.get("/v1/claims?limit=100", "ann")).json()["claims"]
    return [each for each in waiting if each["referral"] == REFERRAL]


async def test_a_reward_whose_payee_named_no_method_stands_before_nobody(copies: Copies) -> None:
    async with copies() as desk:
        assert await _entries(desk) == []


@pytest.mark.parametrize(("row", "bring"), WAITING.items(), ids=map(str, WAITING))
async def test_a_reward_that_waits_is_in_the_queue_and_says_what_can_be_done(
    copies: Copies, row: Row, bring: object
) -> None:
    async with copies() as desk:
        await WAITING[row](desk)
        (entry,) = await _entries(desk)
        assert (entry["exception"], entry["redirect"]) == (row.waits, {"payee": "mira", "rail": "stripe_transfer"})
        asks = re.search(r"\bredirects? (what waits|it too)", str(entry["to_do"])) is not None
        now = asks and "may object until" not in str(entry["to_do"])
        assert now == bool(row.acts), entry["to_do"]
        page = PATH.removeprefix("/v1")
        async with desk.browser("cleo") as browser:
            assert ('value="review"' in (await browser.get(page)).text) == bool(row.acts)
            listed = (await browser.get(f"/queue?exception={Waits.WAITING_METHOD}")).text
            assert page.replace("&", "&amp;") in listed
        made = await sign(desk, "cleo")
        assert made.status_code == (201 if row.acts else 409), made.text


async def test_once_it_is_bound_it_stands_before_nobody(copies: Copies) -> None:
    async with copies() as desk:
        bring = next(iter(WAITING.values()))
        await bring(desk)
        assert (await sign(desk, "ben")).status_code == 201
        await desk.judge(REFERRAL)
        assert await _entries(desk) == []
