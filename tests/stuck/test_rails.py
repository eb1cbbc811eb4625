"""Halted rails and forgotten payments: who has them in the queue, what they read there, and what they can do."""

import re
from typing import Any, Final

import pytest

from referral_rewards.domain.decisions.act_kinds import NEEDS_REFERENCE, MoneyAct
from referral_rewards.domain.restores.forgotten import PaymentState
from tests.desk import Desk
from tests.snapshots import Snapshots
from tests.stuck.claims import furnished
from tests.stuck.money import PAYOUT, Row, approved
from tests.stuck.rails import ROWS, STANDING, Place
from tests.stuck.stage import Copies, stage

_A = MoneyAct
_ASKED: Final = {
    _A.REOPEN_RAIL: r"\bopen the rail again\b",
    _A.ASSIGN_PAYMENT: r"\bsay which payout it was\b",
    _A.DISOWN_PAYMENT: r"\brecord that it is not ours\b",
}


@pytest.fixture
def copies(snapshots: Snapshots) -> Copies:
    return _COPIES.setdefault(id(snapshots), stage(snapshots, furnished, approved))


_COPIES: dict[int, Copies] = {}


def test_the_walk_knows_every_state_of_a_forgotten_payment() -> None:
    assert {row.state for row in ROWS if isinstance(row.state, PaymentState)} == set(PaymentState)


@pytest.mark.parametrize("row", STANDING, ids=str)
async def test_it_is_in_the_queue_and_leads_to_the_page_with_what_can_be_done(copies: Copies, row: Row) -> None:
    async with copies() as desk:
        place = STANDING[row]
        assert await _entry(desk, place, row) is None
        await place.bring(desk)
        entry = await _entry(desk, place, row)
        assert (entry["referral"], entry["program"]) == (None, None)
        assert entry["about"]
        named = {act for act, words in _ASKED.items() if re.search(words, entry["to_do"], re.IGNORECASE)}
        assert named == set(row.acts), entry["to_do"]
        assert set((await desk.get(place.path, "ann")).json()["takes"]) == set(row.acts)
        async with desk.browser("ann") as browser:
            assert f'href="{place.page}"' in (await browser.get(f"/queue?exception={row.waits}")).text
            page = (await browser.get(place.page)).text
            assert [act for act in row.acts if f'value="{act}"' not in page] == []


@pytest.mark.parametrize(
    ("row", "act"), [(row, act) for row in STANDING for act in row.acts], ids=lambda each: str(each)
)
async def test_what_is_offered_is_recorded_and_the_entry_leaves(copies: Copies, row: Row, act: MoneyAct) -> None:
    async with copies() as desk:
        place = STANDING[row]
        await place.bring(desk)
        digest = (await desk.get(place.path, "ann")).json()["digest"]
        asked: dict[str, Any] = {"act": act, "reason": "other", "note": "looked at it", "digest": digest}
        if act in NEEDS_REFERENCE:
            asked["reference"] = str(PAYOUT)
        made = await desk.api.post(f"{place.path}/decisions", json=asked, headers=desk.bearer("ann"))
        assert made.status_code == 201, made.json()
        assert await _entry(desk, place, row) is None


async def _entry(desk: Desk, place: Place, row: Row) -> Any:
    """Its entry in the queue; None if it does not stand there."""
    waiting = (await desk.get(f"/v1/claims?limit=100&exception={row.waits}", "ann")).json()["claims"]
    return next((each for each in waiting if each["subject"] == place.subject), None)
