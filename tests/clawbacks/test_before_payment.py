"""Before a reward is paid: a refund lowers or ends it, and while a dispute runs nobody can approve it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import NewDecision
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from tests.desk import Desk, days_ago, event


async def told(desk: Desk, what: str, days: float, **data: Any) -> str:
    """Where the referral stands once it is known that this happened so many days ago."""
    name = f"{what}-{days}"
    answer = await desk.tell([event(name, f"conversion.{what}", days_ago(days), {"order": "o-r1", **data})])
    assert answer.status_code == 202
    return await desk.judge("r1")


async def legs(desk: Desk) -> dict[str, int]:
    shown = (await desk.get("/v1/claims/r1")).json()
    return {leg["role"]: leg["amount_minor"] for leg in shown["claim"]["legs"]}


@pytest.mark.parametrize(
    ("refunds", "stands", "left"),
    [
        ([], "awaiting_approval", {"referrer": 2500, "referee": 800}),
        (["20.00"], "awaiting_approval", {"referrer": 2500, "referee": 600}),
        (["20.00", "10.00"], "awaiting_approval", {"referrer": 2500, "referee": 500}),
        (["20.00", "10.01"], "denied", None),
        (["80.00"], "denied", None),
    ],
)
@pytest.mark.suite_has(3)
async def test_a_refund_lowers_a_percentage_and_below_the_minimum_ends_it(
    desk: Desk, refunds: list[str], stands: str, left: dict[str, int] | None
) -> None:
    await desk.referral("r1")
    for number, amount in enumerate(refunds):
        await told(desk, "reversed", 10 - number, kind="refund", amount=amount)
    assert await desk.judge("r1") == stands
    if left is not None:
        assert await legs(desk) == left


async def test_nobody_approves_while_a_dispute_is_open_and_a_won_one_thaws(desk: Desk) -> None:
    await desk.referral("r1")
    assert await told(desk, "dispute_opened", 9) == "awaiting_approval"
    refused = await desk.decide("r1", "approve")
    assert (refused.status_code, refused.json()["rule"]) == (409, "dispute_open")
    assert (await desk.decide("r1", "hold", reason="dispute_open")).status_code == 201
    assert (await desk.decide("r1", "release")).status_code == 201
    await told(desk, "dispute_closed", 8, outcome="won")
    assert (await desk.decide("r1", "approve")).status_code == 201
    assert await desk.judge("r1") == "approved"


async def test_a_signed_approval_of_a_disputed_claim_approves_nothing(desk: Desk) -> None:
    """Recorded by somebody who can sign, past the rules that refuse it."""
    await desk.referral("r1")
    await told(desk, "dispute_opened", 9)
    async with desk.database.transaction() as connection:
        row = await referrals.hold(connection, "r1")
        claim, _ = await claims.current(connection, row.claim_id)
        await decisions.append(
            connection,
            NewDecision(
                referral="r1", claim_id=row.claim_id, digest=claim.digest, kind=DecisionKind.APPROVE, user="paula",
                roles=frozenset({Role.PROGRAM_OWNER}), reason="terms_met", note="all the same",
                decided_at=datetime.now(UTC),
            ),
            desk.parts.signer,
        )  # fmt: skip
    assert await desk.judge("r1") == "awaiting_approval"
    assert (await desk.get("/v1/payouts?referral=r1")).json()["payouts"] == []


async def test_a_dispute_between_the_approval_and_the_payment_takes_the_approval_back(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    assert await told(desk, "dispute_opened", 9) == "awaiting_approval"
    assert {each["state"] for each in (await desk.get("/v1/payouts?referral=r1")).json()["payouts"]} <= {"cancelled"}
    assert await told(desk, "dispute_closed", 8, outcome="LOST") == "denied"


@pytest.mark.parametrize(
    ("outcome", "stands", "legs_left"),
    [
        ("won", "awaiting_approval", {"referrer": 2500, "referee": 800}),
        ("Inquiry_Closed", "awaiting_approval", {"referrer": 2500, "referee": 800}),
        ("lost", "awaiting_approval", {"referrer": 2500, "referee": 600}),
        ("refunded", "awaiting_approval", {"referrer": 2500, "referee": 600}),
        ("PREVENTED", "awaiting_approval", {"referrer": 2500, "referee": 600}),
    ],
)
@pytest.mark.suite_has(3)
async def test_a_dispute_that_ends_takes_its_amount_or_nothing(
    desk: Desk, outcome: str, stands: str, legs_left: dict[str, int]
) -> None:
    await desk.referral("r1")
    await told(desk, "dispute_opened", 9, amount="20.00")
    assert await told(desk, "dispute_closed", 8, outcome=outcome) == stands
    assert await legs(desk) == legs_left


async def test_an_unknown_outcome_is_refused_with_the_list_and_the_dispute_stays_open(desk: Desk) -> None:
    await desk.referral("r1")
    await told(desk, "dispute_opened", 9)
    data = {"order": "o-r1", "outcome": "warning_closed"}
    answer = await desk.tell([event("closed", "conversion.dispute_closed", days_ago(8), data)])
    assert answer.status_code in (400, 422), answer.text
    assert all(word in answer.text for word in ("won", "inquiry_closed", "lost", "refunded", "prevented"))
    assert (await desk.decide("r1", "approve")).json()["rule"] == "dispute_open"
