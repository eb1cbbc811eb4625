"""An order linked to a referral by hand (case 42): by two people, whatever the status, and before any payment."""

from itertools import permutations
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import text

from referral_rewards.domain.programs.terms import Role
from tests.desk import Desk, days_ago, event, marks

BUYER = {"customer": "c-purchasing", "email": "purchasing@example.com"}


def _bought(order: str = "o-theirs", at: float = 40, customer: dict[str, str] = BUYER) -> dict[str, Any]:
    """An order of somebody whom no referral names."""
    about = {"order": order, "kind": "purchase", "customer": customer, "amount": "80.00", "currency": "USD"}
    return event(f"b-{order}", "conversion.recorded", days_ago(at), {**about, "new_customer": True})


async def _lead(desk: Desk, *, at: float = 50) -> str:
    """A lead whose referee never buys."""
    who = {"email": "anna@example.com"}
    sent = {"referral": "r1", "program": "acme-friends", "referrer": "dexter", "channel": "lead", "referee": who}
    await desk.tell([event("lead", "referral.sent", days_ago(at), sent)])
    return await desk.judge("r1")


async def _link(desk: Desk, who: str, order: str = "o-theirs", **given: Any) -> Response:
    return await desk.decide("r1", "link", who, order=order, **given)


async def _linked(desk: Desk, order: str = "o-theirs") -> str:
    for who in ("paula", "oscar"):
        made = await _link(desk, who, order)
        assert made.status_code == 201, made.text
    return await desk.judge("r1")


async def _claim(desk: Desk) -> dict[str, Any]:
    claim: dict[str, Any] = (await desk.get("/v1/claims/r1")).json()["claim"]
    return claim


async def _flags(desk: Desk) -> set[str]:
    return {each["flag"] for each in (await _claim(desk))["flags"]}


async def test_an_order_of_a_colleague_reopens_an_expired_referral_and_asks_for_approval(desk: Desk) -> None:
    assert await _lead(desk) == "expired"
    await desk.tell([_bought()])
    shown = (await desk.get("/v1/claims/r1")).json()
    assert shown["takes"] == ["reopen", "link"]
    assert (await _link(desk, "paula", reason="colleague_bought")).status_code == 201
    assert await desk.judge("r1") == "expired"
    assert (await _link(desk, "oscar", reason="colleague_bought")).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"
    claim = await _claim(desk)
    told = {each["flag"]: each["sentence"] for each in claim["flags"]}
    assert "linked_by_hand" in told
    assert told["linked_by_hand"] == "Order o-theirs was linked by hand by paula and oscar (a colleague bought)."
    assert {leg["role"]: leg["amount_minor"] for leg in claim["legs"]} == {"referrer": 2500, "referee": 800}


async def test_a_linked_order_of_a_lead_that_is_open_goes_through_its_return_period(desk: Desk) -> None:
    assert await _lead(desk, at=10) == "claimed"
    await desk.tell([_bought(at=5)])
    assert (await desk.get("/v1/claims/r1")).json()["takes"] == ["link"]
    assert await _linked(desk) == "in_return_period"
    shown = (await desk.get("/v1/referrals/r1")).json()
    assert shown["conversion"]["order"] == "o-theirs"
    assert [each["order"] for each in shown["periods"]["conversions"]] == ["o-theirs"]


async def test_what_happens_to_a_linked_order_reaches_the_referral(desk: Desk) -> None:
    await _lead(desk, at=10)
    await desk.tell([_bought(at=5)])
    await _linked(desk)
    await desk.tell([event("refund", "conversion.reversed", days_ago(1), {"order": "o-theirs", "kind": "refund"})])
    assert await desk.judge("r1") == "claimed"


async def test_one_person_links_nothing_by_signing_twice(desk: Desk) -> None:
    await _lead(desk)
    await desk.tell([_bought()])
    first = await _link(desk, "paula")
    again = await _link(desk, "paula")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    refused = await _link(desk, "paula", note="in other words")
    assert (refused.status_code, refused.json()["rule"]) == (409, "different_people")
    assert await desk.judge("r1") == "expired"


async def test_two_people_who_name_two_orders_link_neither(desk: Desk) -> None:
    await _lead(desk)
    await desk.tell([_bought(), _bought("o-other")])
    assert (await _link(desk, "paula", "o-theirs")).status_code == 201
    assert (await _link(desk, "oscar", "o-other")).status_code == 201
    assert await desk.judge("r1") == "expired"


@pytest.mark.parametrize(("who", "status"), [("fiona", 403), ("ada", 403)], ids=["finance", "administrator"])
async def test_only_operations_and_the_program_owner_link(desk: Desk, who: str, status: int) -> None:
    await _lead(desk)
    await desk.tell([_bought()])
    assert (await _link(desk, who)).status_code == status


async def test_nobody_links_what_they_bought(desk: Desk) -> None:
    await desk.add_user("pur", Role.OPERATIONS, marks=marks(email=BUYER["email"]))
    await _lead(desk)
    await desk.tell([_bought()])
    refused = await _link(desk, "pur")
    assert (refused.status_code, refused.json()["rule"]) == (409, "own_claim")


async def test_an_order_that_nobody_told_us_of_is_not_linked(desk: Desk) -> None:
    await _lead(desk)
    refused = await _link(desk, "paula", "o-typo")
    assert (refused.status_code, refused.json()["rule"]) == (409, "order_unknown")


async def test_an_order_that_is_the_referral_s_own_is_not_linked(desk: Desk) -> None:
    await desk.referral("r1")
    refused = await _link(desk, "paula", "o-r1")
    assert (refused.status_code, refused.json()["rule"]) == (409, "order_heard")


async def test_an_order_that_qualifies_nothing_changes_no_verdict_of_an_open_referral(desk: Desk) -> None:
    assert await _lead(desk, at=10) == "claimed"
    await desk.tell([_bought(at=20)])
    assert await _linked(desk) == "claimed"


async def test_an_order_that_does_not_qualify_comes_before_approvers_with_what_failed(desk: Desk) -> None:
    assert await _lead(desk, at=50) == "expired"
    await desk.tell([_bought(at=60)])
    assert await _linked(desk) == "awaiting_approval"
    claim = await _claim(desk)
    assert claim["override"] is True
    results = {each["code"]: each["result"] for each in claim["checks"]}
    assert results["within_periods"] == "failed"


async def test_an_order_that_matches_another_referral_is_a_dispute(desk: Desk) -> None:
    who = {"referrer": "mia", "program": "acme-friends", "customer": "c-mia", "email": "mia@example.com"}
    await desk.tell([event("mia", "referrer.enrolled", days_ago(200), who)])
    sent = {"referral": "r9", "program": "acme-friends", "referrer": "mia", "channel": "email", "referee": BUYER}
    await desk.tell([event("r9-sent", "referral.sent", days_ago(55), sent), _bought()])
    await _lead(desk)
    assert await _linked(desk) == "awaiting_approval"
    assert {"disputed_attribution", "linked_by_hand"} <= await _flags(desk)
    assert {"operations", "program_owner"} <= set((await _claim(desk))["requirement"]["routes"])


async def test_linked_to_a_claim_that_has_an_order_it_voids_the_approval_and_asks_again(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.tell([_bought(at=45)])  # earlier than the referral's own order
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"
    assert await _linked(desk) == "awaiting_approval"
    assert "linked_by_hand" in await _flags(desk)
    async with desk.database.transaction() as connection:
        legs = await connection.execute(text("SELECT id FROM leg WHERE state <> 'cancelled'"))
        assert list(legs) == []


async def test_an_approval_of_what_was_linked_a_moment_ago_is_refused(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.tell([_bought(at=45)])
    for who in ("paula", "oscar"):
        assert (await _link(desk, who)).status_code == 201
    refused = await desk.decide("r1", "approve", "paula")
    assert (refused.status_code, refused.json()["rule"]) == (409, "already_linked")


async def test_a_denied_claim_stays_denied_whatever_was_linked_a_moment_before(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.tell([_bought(at=45)])
    for who in ("paula", "oscar"):
        assert (await _link(desk, who)).status_code == 201
    assert (await desk.decide("r1", "deny", "paula")).status_code == 201
    assert await desk.judge("r1") == "denied"


async def test_after_a_payment_no_order_is_linked(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.tell([_bought(at=45)])
    await desk.decide("r1", "approve", "paula")
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET first_sent_at = now(), state = 'sending'"))
    refused = await _link(desk, "paula")
    assert (refused.status_code, refused.json()["rule"]) == (409, "payment_committed")


async def test_a_row_that_says_an_order_was_linked_is_not_believed(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.tell([_bought(at=45)])
    async with desk.database.transaction() as connection:
        link = (
            '{"id": "00000000-0000-0000-0000-000000000001", "order": "o-theirs", "users": ["paula", "oscar"],'
            ' "reason": "other", "at": "2026-01-01T00:00:00Z"}'
        )
        forged = text("UPDATE referral SET acts = CAST(:acts AS jsonb), claim_version = -1")
        await connection.execute(forged, {"acts": f'{{"reassigned": null, "links": [{link}]}}'})
    assert await desk.judge("r1") == "awaiting_approval"
    assert (await desk.get("/v1/referrals/r1")).json()["conversion"]["order"] == "o-r1"


async def test_facts_of_the_order_and_the_link_may_come_in_any_order(desk: Desk) -> None:
    """A refund told before the link, or after it: the verdict is the same."""
    verdicts = set()
    for number, steps in enumerate(permutations(("refund", "link"))):
        order, referral = f"o-{number}", f"lead-{number}"
        sent = {"referral": referral, "program": "acme-friends", "referrer": "dexter", "channel": "lead"}
        who = {"email": f"anna{number}@example.com"}
        bought = _bought(order, 5, {"customer": f"c-buyer{number}"})
        await desk.tell([event(f"l{number}", "referral.sent", days_ago(10), {**sent, "referee": who}), bought])
        await desk.judge(referral)
        for step in steps:
            if step == "refund":
                back = {"order": order, "kind": "refund", "amount": "20.00"}
                await desk.tell([event(f"f{number}", "conversion.reversed", days_ago(1), back)])
            else:
                for by in ("paula", "oscar"):
                    assert (await desk.decide(referral, "link", by, order=order)).status_code == 201
            await desk.judge(referral)
        shown = (await desk.get(f"/v1/referrals/{referral}")).json()
        verdicts.add((shown["status"], shown["conversion"]["net_minor"]))
    assert verdicts == {("in_return_period", 6000)}
