"""Each state in which money can stand: who has it before them, what they read there, and what they can do (SPEC §6)."""

import re
from enum import StrEnum
from typing import Any, Final

import pytest

from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.act_kinds import NEEDS_AMOUNT, NEEDS_REFERENCE, MoneyAct
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.payouts.states import LegState, PayoutState
from tests.desk import Desk
from tests.snapshots import Snapshots
from tests.stuck.claims import furnished
from tests.stuck.loose_ends import LOOSE_ENDS
from tests.stuck.money import CASES, CYCLES, LEGS, PAYOUTS, Row, approved, at
from tests.stuck.rails import ROWS as RAILS
from tests.stuck.stage import Copies, stage

_A = MoneyAct
ROWS: Final = (*PAYOUTS, *CASES, *CYCLES)
#: How a text asks for an act: each act that it names is offered, and each that is offered is named.
ASKED: Final = {
    _A.RETRY_PAYOUT: r"\bretry\b",
    _A.CANCEL_PAYOUT: r"\bcancel (it|the payout)\b",
    _A.SETTLE_PAYOUT: r"(record|records) that it was paid|was paid, record that",
    _A.REFUSE_PAYOUT: r"record(s)? that it was not paid|or that it was not paid",
    _A.CONFIRM_PAYOUT: r"\bconfirms\b",
    _A.REVERSE_CLAWBACK: r"\breverse it\b",
    _A.OFFSET_CLAWBACK: r"\boffset it\b",
    _A.WRITE_OFF_CLAWBACK: r"\bwrite it off\b",
    _A.DISMISS_CLAWBACK: r"\bdismiss (it|the case)\b",
    _A.SETTLE_CLAWBACK: r"was recovered, record that",
    _A.REFUSE_CLAWBACK: r"record that it was not recovered",
    _A.RELEASE_CYCLE: r"\brelease the cycle\b",
    _A.STOP_CYCLE: r"\bstop it\b",
    _A.RESUME_CYCLE: r"\bresume it\b",
}


@pytest.fixture
def copies(snapshots: Snapshots) -> Copies:
    return _COPIES.setdefault(id(snapshots), stage(snapshots, furnished, approved))


_COPIES: dict[int, Copies] = {}


@pytest.mark.parametrize("states", [PayoutState, CaseState, ClawbackState, CycleState, LegState])
def test_the_walk_knows_every_state(states: type[StrEnum]) -> None:
    assert {row.state for row in (*ROWS, *LEGS) if isinstance(row.state, states)} == set(states)


def test_the_walk_knows_every_exception() -> None:
    of_referrals = {Waits.APPROVAL, Waits.LATE_FACT, Waits.APPEAL, *(end.waits for end in LOOSE_ENDS)}
    assert {row.waits for row in (*ROWS, *LEGS, *RAILS) if row.waits is not None} | of_referrals == set(Waits)


def test_whatever_stands_before_nobody_says_why() -> None:
    assert [str(row) for row in (*ROWS, *LEGS) if not (row.acts or row.needs_nobody)] == []


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.suite_has(11)
async def test_a_state_is_before_those_who_can_act_on_it_and_says_what_they_can_do(copies: Copies, row: Row) -> None:
    async with copies() as desk:
        path = await at(desk, row)
        entry = await _entry(desk, path)
        assert (entry and entry["exception"]) == row.waits
        shown = (await desk.get(path, "ann")).json()
        if row.waits is None:
            assert not row.acts or set(shown["takes"]) == set(row.acts)
            return
        assert set(shown["takes"]) == set(row.acts)
        assert entry["to_do"]
        named = {act for act, words in ASKED.items() if re.search(words, entry["to_do"], re.IGNORECASE)}
        assert named == set(row.acts), entry["to_do"]
        assert shown.get("to_do") in (None, entry["to_do"]), "the page and the queue say different things"
        async with desk.browser("ann") as browser:
            page = (await browser.get(path.removeprefix("/v1"))).text
            assert [act for act in row.acts if f'value="{act}"' not in page] == []
            leads_to = "/cycles/" if isinstance(row.state, CycleState) else "/claims/r1"
            assert f'href="{leads_to}' in (await browser.get(f"/queue?exception={row.waits}")).text


@pytest.mark.parametrize(("row", "act"), [(row, act) for row in ROWS for act in row.acts], ids=str)
@pytest.mark.suite_has(11)
async def test_what_is_offered_is_recorded(copies: Copies, row: Row, act: MoneyAct) -> None:
    async with copies() as desk:
        path = await at(desk, row)
        shown = (await desk.get(path, "ann")).json()
        asked: dict[str, Any] = {"act": act, "reason": "other", "note": "looked at it", "digest": shown["digest"]}
        if act in NEEDS_AMOUNT:
            # What was taken may go back; every other act is over what is left to take, or waits to be kept.
            left_minor = shown["room_minor"] or shown["waiting_minor"]
            asked["amount_minor"] = shown["taken_minor"] if act is _A.RETURN_CLAWBACK else left_minor
        if act in NEEDS_REFERENCE:
            asked["reference"] = "ref-1"
        made = await desk.api.post(f"{path}/decisions", json=asked, headers=desk.bearer("ann"))
        assert made.status_code == 201, made.json()


async def _entry(desk: Desk, path: str) -> Any:
    """What the queue says of it; None if it does not stand there."""
    subject = path.rpartition("/")[2]
    waiting = (await desk.get("/v1/claims?limit=100", "ann")).json()["claims"]
    money = [each for each in waiting if each["exception"] not in (Waits.APPROVAL, Waits.LATE_FACT)]
    cases = [each for each in money if path.startswith("/v1/clawbacks") and each["exception"] == Waits.CLAWBACK]
    return next((each for each in money if each["subject"] == subject), None) or next(iter(cases), None)
