"""Each flag that a claim can have: what is offered on it can be done, and leads on (SPEC §6)."""

from typing import Any, Final

import pytest

from referral_rewards.domain.claims.decision_kinds import DecisionKind
from referral_rewards.domain.claims.findings import Flag
from tests.desk import Desk
from tests.seeds import partly
from tests.snapshots import Snapshots
from tests.stuck.claims import EVERYBODY, FLAGGED, furnished, held, waiting
from tests.stuck.stage import Bring, stage

_K = DecisionKind
#: What else a decision of a kind must name here.
NAMED: Final[dict[DecisionKind, dict[str, Any]]] = {
    _K.REASSIGN: {"referrer": "mia"},
    _K.LINK: {"order": "o-spare-2"},
    _K.ADJUST: {"leg": "referrer", "amount_minor": 100},
}
_KEPT: Final = frozenset({_K.APPROVE, _K.LINK})


def test_the_walk_knows_every_flag() -> None:
    assert set(FLAGGED) == set(Flag)


#: On claims with these the offers differ; `make chaos` walks over the others too.
_SUITE = frozenset(
    {
        *(Flag.ATTRIBUTION_CHANGED, Flag.BUDGET_EXHAUSTED, Flag.DISPUTE_OPEN, Flag.DUPLICATE_CLAIM),
        *(Flag.CURRENCY_MISMATCH, Flag.UNKNOWN_REFERRER, Flag.LATE_FACT),
    }
)


@pytest.mark.parametrize("flag", partly(Flag, suite=_SUITE))
@pytest.mark.suite_has(2)
async def test_what_is_offered_on_a_flagged_claim_can_be_done(snapshots: Snapshots, flag: Flag) -> None:
    await _walk(snapshots, FLAGGED[flag], flag)


@pytest.mark.parametrize("bring", [waiting, held])
async def test_what_is_offered_on_a_claim_without_a_flag_can_be_done(snapshots: Snapshots, bring: Bring) -> None:
    await _walk(snapshots, bring, None)


async def _walk(snapshots: Snapshots, bring: Bring, flag: Flag | None) -> None:
    copies = stage(snapshots, furnished, bring)
    async with copies() as desk:
        referral = await _referral(desk, flag)
        offered = [_K(kind) for kind in (await _shown(desk, referral))["takes"]]
        async with desk.browser("ann") as browser:
            page = (await browser.get(f"/claims/{referral}")).text
    assert offered
    assert [kind for kind in offered if f'value="{kind}"' not in page] == [], "the page does not offer it"
    for kind in offered:
        async with copies() as desk:
            await _leads_on(desk, referral, kind)


async def _referral(desk: Desk, flag: Flag | None) -> str:
    """The referral that waits with this flag."""
    waits = (await desk.get("/v1/claims?exception=approval&limit=100", "ann")).json()["claims"]
    found = [each["referral"] for each in waits if flag is None or flag in each["eligibility"]["flags"]]
    assert found, [each["eligibility"] for each in waits]
    return str(found[-1])


async def _leads_on(desk: Desk, referral: str, kind: DecisionKind) -> None:
    """Decides so, by as many people as it takes: then the claim or its status is another, or somebody was told."""
    before = await _state(desk, referral)
    for person in EVERYBODY:
        if kind not in (await _shown(desk, referral))["takes"]:
            break
        made = await desk.decide(referral, kind, person, **NAMED.get(kind, {}))
        assert made.status_code == 201, (kind, person, made.json())
        await desk.judge(referral)
        # What is signed while a claim is on hold is on record, and counts once it is released.
        if await _state(desk, referral) != before or (before[0] == "on_hold" and kind in _KEPT):
            return
    raise AssertionError(f"{kind} changed nothing")


async def _state(desk: Desk, referral: str) -> Any:
    shown = await _shown(desk, referral)
    told = (await desk.get(f"/v1/referrals/{referral}", "ann")).json()["communication"]
    applied = [
        each["seq"] for each in shown["decisions"] for effect in each["effects"] if effect["effect"] == "applied"
    ]
    return shown["status"], shown["reason"], shown["digest"], len(told), applied


async def _shown(desk: Desk, referral: str) -> Any:
    return (await desk.get(f"/v1/claims/{referral}", "ann")).json()
