"""What no rule can settle stands in the queue, says what to do, and leaves once somebody has done it."""

from typing import Any

import pytest

from referral_rewards.domain.decisions.waiting import Waits
from tests.desk import Desk
from tests.snapshots import Snapshots
from tests.stuck.claims import furnished, judge_all
from tests.stuck.loose_ends import LOOSE_ENDS, LooseEnd, set_aside
from tests.stuck.stage import Copies, stage


@pytest.fixture
def copies(snapshots: Snapshots) -> Copies:
    return _COPIES.setdefault(id(snapshots), stage(snapshots, furnished))


_COPIES: dict[int, Copies] = {}


@pytest.mark.parametrize("end", LOOSE_ENDS, ids=str)
@pytest.mark.suite_has(4)
async def test_it_stands_in_the_queue_and_says_what_to_do(copies: Copies, end: LooseEnd) -> None:
    async with copies() as desk:
        assert await entries(desk, end) == []
        await end.bring(desk)
        (entry,) = await entries(desk, end)
        for words in end.says:
            assert words in f"{entry['about']}. {entry['to_do']}"
        if end.subject is not None:
            assert (entry["referral"], entry["subject"]) == (end.referral, end.subject)
        counts = (await desk.get("/v1/claims", "ann")).json()["counts"]["exceptions"]
        assert counts[end.waits] == {"count": 1, "at_least": False}
        assert f'referrals_queue_entries{{exception="{end.waits}"}} 1.0' in await desk.metrics()
        async with desk.browser("ann") as browser:
            page = (await browser.get(f"/queue?exception={end.waits}")).text
            assert end.says[0][1:] in page
            if entry["referral"]:
                assert (await browser.get(f"/claims/{entry['referral']}")).status_code == 200
                assert (await browser.get(f"/referrals/{entry['referral']}")).status_code == 200
            assert ("/queue/set-aside?" in page) == (set_aside in end.acts.values())


@pytest.mark.parametrize(
    ("end", "act"), [(end, act) for end in LOOSE_ENDS for act in end.acts], ids=lambda each: str(each)
)
@pytest.mark.suite_has(6)
async def test_it_leaves_with_each_act_that_is_named(copies: Copies, end: LooseEnd, act: str) -> None:
    async with copies() as desk:
        await end.bring(desk)
        await end.acts[act](desk)
        await judge_all(desk)
        assert await entries(desk, end) == []


async def entries(desk: Desk, end: LooseEnd) -> list[Any]:
    listed = (await desk.get(f"/v1/claims?limit=100&exception={end.waits}", "ann")).json()["claims"]
    return list(listed)


def test_every_such_exception_is_walked() -> None:
    assert {end.waits for end in LOOSE_ENDS} == {
        *(
            Waits.PARKED,
            Waits.UNLINKED_CLAIM,
            Waits.UNLINKED_ORDER,
            Waits.UNREAD_EVENT,
            Waits.REPORTED,
            Waits.CLOSED_IN_CONFLICT,
        )
    }
