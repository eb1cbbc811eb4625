"""A claim is held up by nothing that its rail does not need of a payee, and flagged by nothing that it waits for."""

import pytest

from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from tests.desk import Desk

#: As a company publishes it that rewards referrers alone.
TERMS = """
program: c22
name: Case 22
effective_from: 2025-01-01T00:00:00Z
timezone: America/New_York
currency: USD
periods: {{expiry: {{email: P30D}}, offer: P30D, grace: P30D, return: P14D, watch: P2Y}}
qualifying: {{kinds: [purchase], new_customers_only: true}}
rewards:
  referrer: {{kind: {kind}, amount: "25.00"}}
approval:
  routes: {{{kind}: [finance]}}
payouts:
  timing: immediate
  rails: {{{kind}: {rail}}}
"""
OTTO = {"customer": "c22-otto", "email": "otto@c22.example"}


async def _life(desk: Desk, kind: str, rail: str, **mira: str) -> None:
    """Mira, of whom ``mira`` is known, refers Otto, who buys; all of it is past."""
    await desk.publish(TERMS.format(kind=kind, rail=rail))
    order = {"order": "c22-o1", "kind": "purchase", "amount": "100.00", "currency": "USD", "new_customer": True}
    facts = (
        ("2026-01-05", "referrer.enrolled", {"referrer": "c22-mira", "program": "c22", **mira}),
        ("2026-08-01", "referral.sent", {"referral": "c22-r1", "program": "c22", "referrer": "c22-mira",
                                         "channel": "email", "referee": {"email": OTTO["email"]}}),
        ("2026-08-02", "referral.claimed", {"referral": "c22-r1", "referee": OTTO, "consent": True}),
        ("2026-08-03", "conversion.recorded", {**order, "customer": {"customer": OTTO["customer"]}}),
    )  # fmt: skip
    told = [
        {"specversion": "1.0", "id": f"c22-{number}", "source": "c22", "type": type_, "time": f"{day}T10:00:00Z",
         "data": data}
        for number, (day, type_, data) in enumerate(facts)
    ]  # fmt: skip
    assert (await desk.tell(told)).status_code == 202
    assert await desk.judge("c22-r1") == "awaiting_approval"


@pytest.mark.parametrize("rail", sorted(CATALOGUE))
@pytest.mark.suite_has(4)
async def test_no_claim_is_flagged_for_want_of_a_method(desk: Desk, rail: str) -> None:
    facts = CATALOGUE[rail]
    kind = sorted(facts.kinds)[0]
    await _life(desk, kind, rail, customer="c22-mira-c", email="mira@c22host.example")
    shown = (await desk.get("/v1/referrals/c22-r1", as_="fiona")).json()["claim"]
    results = {each["code"]: each["result"] for each in shown["checks"]}
    waits = facts.needs == "reference"
    assert (shown["flags"], shown["recommendation"]) == ([], "approve")
    assert results.pop("payee_known") == ("failed" if waits else "passed")
    assert set(results.values()) == {"passed"}
    if not waits:
        assert (await desk.decide("c22-r1", "approve", as_="fiona")).is_success
        assert await desk.judge("c22-r1") == "approved"


async def test_gift_cards_are_approved_together(desk: Desk) -> None:
    await _life(desk, "gift_card", "tremendous", customer="c22-mira-c", email="mira@c22host.example")
    digest = (await desk.get("/v1/claims/c22-r1", as_="fiona")).json()["digest"]
    asked = {"kind": "approve", "reason": "terms_met", "note": "ok",
             "claims": [{"referral": "c22-r1", "digest": digest}]}  # fmt: skip
    answer = await desk.api.post("/v1/claims/decisions", json=asked, headers=desk.bearer("fiona"))
    assert [each["outcome"] for each in answer.json()["outcomes"]] == ["recorded"]
    assert await desk.judge("c22-r1") == "approved"
