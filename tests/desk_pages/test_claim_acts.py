"""Adjusting, reassigning and linking on the desk: a form, a review of exactly what would be recorded, a record."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.desk import Desk, days_ago, event


async def _shown(desk: Desk, referral: str = "r1") -> dict[str, Any]:
    shown: dict[str, Any] = (await desk.get(f"/v1/claims/{referral}")).json()
    return shown


async def _fields(desk: Desk, kind: str, **named: str) -> dict[str, Any]:
    return {"kind": kind, "reason": "other", "note": "looked", "digest": (await _shown(desk))["digest"], **named}


@pytest.mark.parametrize(
    ("amount", "reviewed", "follows"),
    [
        (
            "9.50",
            "<strong>9.50 USD</strong>",
            "set to 9.50 USD; 8.00 USD were calculated. It is more than was calculated",
        ),
        ("5.00", "<strong>5.00 USD</strong>", "set to 5.00 USD; 8.00 USD were calculated. Earlier approvals"),
        ("", "<strong>left out</strong>", "reward of 8.00 USD is left out"),
    ],
)
async def test_an_adjustment_is_reviewed_with_both_amounts_and_then_recorded(
    desk: Desk, amount: str, reviewed: str, follows: str
) -> None:
    await desk.referral("r1")
    fields = await _fields(desk, "adjust", leg="referee", amount=amount)
    async with desk.browser("oscar") as browser:
        form = (await browser.get("/claims/r1")).text
        assert "Referee: 8.00 USD calculated, at most 40.00 USD" in form
        review = (await browser.send("/claims/r1", **fields, step="review")).text
        assert reviewed in review
        assert follows in review
        assert (await browser.send("/claims/r1", **fields, step="record")).status_code == 303
    await desk.judge("r1")
    legs = {leg["role"]: leg["amount_minor"] for leg in (await _shown(desk))["claim"]["legs"]}
    assert legs.get("referee", 0) == round(float(amount or 0) * 100)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"leg": "referee", "amount": "40.01"}, "leave at most 40.00 USD"),
        ({"leg": "referee", "amount": "much"}, "Nothing was recorded"),
        ({"leg": "referee", "amount": "1.005"}, "Enter an amount above zero in USD"),
        ({"leg": "", "amount": "5.00"}, "Name the leg"),
    ],
)
async def test_what_can_not_be_set_is_said_before_anything_is_recorded(
    desk: Desk, named: dict[str, str], said: str
) -> None:
    await desk.referral("r1")
    fields = await _fields(desk, "adjust", **named)
    async with desk.browser("oscar") as browser:
        refused = await browser.send("/claims/r1", **fields, step="review")
    assert refused.status_code in (409, 422)
    assert said in refused.text
    async with desk.database.transaction() as connection:
        assert list(await connection.execute(text("SELECT id FROM decision"))) == []


async def test_a_reassignment_is_offered_with_the_referrer_that_was_asked_for(desk: Desk) -> None:
    await desk.referral("r1")
    mia = {"referrer": "mia", "program": "acme-friends", "customer": "c-mia", "email": "mia@example.com"}
    asks = {"referral": "r1", "from_referrer": "dexter", "to_referrer": "mia", "reason": "support_case"}
    told = [
        event("mia", "referrer.enrolled", days_ago(200), mia),
        event("ask", "attribution.changed", days_ago(1), asks),
    ]
    await desk.tell(told)
    await desk.judge("r1")
    fields = await _fields(desk, "reassign", referrer="mia")
    async with desk.browser("oscar") as browser:
        assert 'name="referrer" value="mia"' in (await browser.get("/claims/r1")).text
        review = (await browser.send("/claims/r1", **fields, step="review")).text
        assert "<dt>To</dt><dd><strong>mia</strong></dd>" in review
        late = await browser.send("/claims/r1", **{**fields, "referrer": "nobody"}, step="review")
        assert "was not enrolled in the program before the conversion" in late.text
        assert (await browser.send("/claims/r1", **fields, step="record")).status_code == 303


async def test_an_order_is_linked_to_a_referral_that_has_no_claim(desk: Desk) -> None:
    sent = {"referral": "r1", "program": "acme-friends", "referrer": "dexter", "channel": "lead"}
    bought = {"order": "o9", "kind": "purchase", "customer": {"customer": "c-buyer"}, "amount": "80.00"}
    await desk.tell(
        [
            event("lead", "referral.sent", days_ago(10), {**sent, "referee": {"email": "anna@example.com"}}),
            event("b", "conversion.recorded", days_ago(5), {**bought, "currency": "USD", "new_customer": True}),
        ]
    )
    assert await desk.judge("r1") == "claimed"
    fields = await _fields(desk, "link", order="o9")
    for who in ("oscar", "paula"):
        fields["seen"] = await _seen(desk)
        async with desk.browser(who) as browser:
            assert "Link an order" in (await browser.get("/claims/r1")).text
            review = (await browser.send("/claims/r1", **fields, step="review")).text
            assert "<dt>Order</dt><dd><strong>o9</strong></dd>" in review
            assert (await browser.send("/claims/r1", **fields, step="record")).status_code == 303
    assert await desk.judge("r1") == "in_return_period"


async def _seen(desk: Desk) -> str:
    return str(max((each["seq"] for each in (await _shown(desk))["decisions"]), default=0))
