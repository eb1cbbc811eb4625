"""How many statements a decision takes over the API, from its authentication to its commit."""

from typing import Any, Final

import pytest

from referral_rewards.domain.programs.terms import Role
from tests.api.test_money_acts import stand
from tests.desk import PROGRAM, Desk
from tests.statements import Sent, counted

#: With one more for a claim with withdrawals, whose facts count by the time of the approval.
APPROVAL_MAX: Final = 13
PAYOUT_MAX: Final = 12
_FOUR_EYES: Final = PROGRAM.replace('four_eyes_from: "500.00"', 'four_eyes_from: "5.00"').replace(
    "effective_from: 2025-01-01", "effective_from: 2025-01-02"
)


async def _decide(desk: Desk, path: str, by: str, **decision: Any) -> Sent:
    """Record a decision against what is shown now; return what reached PostgreSQL."""
    digest = (await desk.get(path, by)).json()["digest"]
    body = {"note": "looked at it", "digest": digest, **decision}
    with counted() as sent:
        answer = await desk.api.post(f"{path}/decisions", json=body, headers=desk.bearer(by))
    assert answer.status_code == 201, answer.text
    return sent


async def _approve(desk: Desk, referral: str, by: str) -> Sent:
    return await _decide(desk, f"/v1/claims/{referral}", by, kind="approve", reason="terms_met")


async def test_an_approval_takes_few_statements(desk: Desk) -> None:
    await desk.referral("r1")
    sent = await _approve(desk, "r1", "paula")
    assert len(sent.statements) <= APPROVAL_MAX, sent
    # One of the authentication, one of the decision.
    assert sent.commits == 2


async def test_so_does_the_last_of_several_signatures(desk: Desk) -> None:
    await desk.add_user("pat", Role.PROGRAM_OWNER)
    await desk.publish(_FOUR_EYES)
    await desk.referral("r1")
    for by in ("paula", "pat"):
        sent = await _approve(desk, "r1", by)
        assert len(sent.statements) <= APPROVAL_MAX, sent
    assert await desk.judge("r1") == "approved"


@pytest.mark.parametrize("before", [(), ("refuse_payout",)], ids=["first", "second"])
async def test_a_decision_on_a_payout_takes_few_statements(desk: Desk, before: tuple[str, ...]) -> None:
    await desk.add_user("olga", Role.FINANCE)
    await desk.referral("r1")
    await _approve(desk, "r1", "paula")
    assert await desk.judge("r1") == "approved"
    payout = (await desk.get("/v1/payouts?referral=r1")).json()["payouts"][0]["payout"]
    for act in before:
        await stand(desk, "manual_review")
        await _decide(desk, f"/v1/payouts/{payout}", "fiona", act=act, reason="other")
    await stand(desk, "refused", why="no such account")
    sent = await _decide(desk, f"/v1/payouts/{payout}", "olga", act="retry_payout", reason="other")
    assert len(sent.statements) <= PAYOUT_MAX, sent
    assert sent.commits == 2
