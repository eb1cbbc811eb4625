"""Adjusting a claim: a leg left out or set to another amount, which other people then approve (cases 12 and 36)."""

from typing import Any

import pytest
from httpx import Response
from sqlalchemy import text

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.programs.terms import Role
from referral_rewards.reporting.referrals.everything import showing
from referral_rewards.reporting.referrals.own_status import own_status
from tests.desk import Desk, days_ago, event, life_of, marks


async def _claim(desk: Desk, referral: str = "r1") -> dict[str, Any]:
    claim: dict[str, Any] = (await desk.get(f"/v1/claims/{referral}")).json()["claim"]
    return claim


async def _amounts(desk: Desk, referral: str = "r1") -> dict[str, int]:
    return {leg["role"]: leg["amount_minor"] for leg in (await _claim(desk, referral))["legs"]}


async def _flags(desk: Desk) -> set[str]:
    return {each["flag"] for each in (await _claim(desk))["flags"]}


async def _set(desk: Desk, leg: str, amount_minor: int | None = None, who: str = "oscar", **given: Any) -> Response:
    """A decision to set a leg to this amount, or to leave it out without one."""
    to = {"leave_out": True} if amount_minor is None else {"amount_minor": amount_minor}
    return await desk.decide("r1", "adjust", who, leg=leg, **to, **given)


async def _adjusted(desk: Desk, leg: str, amount_minor: int | None = None, who: str = "oscar") -> str:
    made = await _set(desk, leg, amount_minor, who)
    assert made.status_code == 201, made.text
    return await desk.judge("r1")


async def _rows(desk: Desk, statement: str) -> list[tuple[Any, ...]]:
    async with desk.database.transaction() as connection:
        return [tuple(each) for each in await connection.execute(text(statement))]


async def _reserved(desk: Desk) -> list[tuple[Any, ...]]:
    return await _rows(desk, "SELECT role, amount_minor FROM leg WHERE state <> 'cancelled' ORDER BY role")


async def _in_euro(desk: Desk) -> str:
    """Case 12: an order in euro, where the program is in dollar."""
    facts = life_of("r1")
    facts[2]["data"] |= {"amount": "90.00", "currency": "EUR"}
    await desk.tell(facts)
    return await desk.judge("r1")


async def test_a_percentage_of_another_currency_is_left_out_and_a_person_sets_a_sum(desk: Desk) -> None:
    assert await _in_euro(desk) == "awaiting_approval"
    assert await _amounts(desk) == {"referrer": 2500}
    assert await _flags(desk) == {"currency_mismatch"}
    assert await _adjusted(desk, "referee", 950) == "awaiting_approval"
    claim = await _claim(desk)
    assert await _amounts(desk) == {"referrer": 2500, "referee": 950}
    assert await _flags(desk) == {"currency_mismatch", "adjusted"}
    assert (claim["override"], claim["requirement"]["people"]) == (True, 2)
    assert claim["requirement"]["excluded"] == ["oscar"]
    refused = await desk.decide("r1", "approve", "oscar")
    assert (refused.status_code, refused.json()["rule"]) == (409, "different_people")
    await desk.add_user("otto", Role.OPERATIONS)
    for who, status in (("paula", "awaiting_approval"), ("fiona", "awaiting_approval"), ("otto", "approved")):
        assert (await desk.decide("r1", "approve", who)).status_code == 201
        assert await desk.judge("r1") == status
    assert await _reserved(desk) == [("referee", 950), ("referrer", 2500)]


async def test_one_side_alone_is_paid_once_other_people_approve(desk: Desk) -> None:
    await desk.referral("r1")
    before = await _claim(desk)
    assert await _adjusted(desk, "referrer") == "awaiting_approval"
    claim = await _claim(desk)
    assert await _amounts(desk) == {"referee": 800}
    assert claim["digest"] != before["digest"]
    assert (claim["override"], claim["requirement"]["people"]) == (False, 1)
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"
    assert await _reserved(desk) == [("referee", 800)]


async def test_whose_reward_was_left_out_is_told_why(desk: Desk) -> None:
    await desk.referral("r1")
    assert (await _set(desk, "referrer", reason="misconduct")).status_code == 201
    await desk.judge("r1")
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"
    assert await _rows(desk, "SELECT audience FROM notice WHERE template = 'left_out'") == [("referrer",)]
    why = "left it out: the rules of the program were not kept."
    async with desk.database.reading() as connection:
        shown = await showing(connection, "r1", desk.parts.keys)
    assert why in own_status(shown, Side.REFERRER).why
    assert why not in own_status(shown, Side.REFEREE).why


async def test_a_sum_of_goodwill_is_raised_by_an_override_of_two_others(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referee", 1500, "paula")
    refused = await desk.decide("r1", "approve", "paula")
    assert (refused.status_code, refused.json()["rule"]) == (409, "different_people")
    assert "you adjusted it" in refused.json()["detail"]
    for who in ("oscar", "fiona"):
        assert (await desk.decide("r1", "approve", who)).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"  # credit needs a program owner, and paula does not count
    await desk.add_user("pat", Role.PROGRAM_OWNER)
    assert (await desk.decide("r1", "approve", "pat")).status_code == 201
    assert await desk.judge("r1") == "approved"


async def test_another_account_of_who_adjusted_does_not_approve_either(desk: Desk) -> None:
    same = marks(email="ann@example.com")
    await desk.add_user("ann", Role.OPERATIONS, marks=same)
    await desk.add_user("ann2", Role.PROGRAM_OWNER, marks=same)
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500, "ann")
    refused = await desk.decide("r1", "approve", "ann2")
    assert (refused.status_code, refused.json()["rule"]) == (409, "different_people")


async def test_adjustments_of_two_people_on_two_legs_compose(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500, "oscar")
    await _adjusted(desk, "referee", 500, "fiona")
    assert await _amounts(desk) == {"referrer": 1500, "referee": 500}
    assert (await _claim(desk))["requirement"]["excluded"] == ["fiona", "oscar"]
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"


async def test_the_later_of_two_adjustments_of_a_leg_holds(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer")
    await _adjusted(desk, "referrer", 2500, "fiona")
    assert await _amounts(desk) == {"referrer": 2500, "referee": 800}
    assert (await _claim(desk))["override"] is False


async def test_an_adjustment_falls_away_when_the_facts_change_what_is_calculated(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500)
    reversal = {"order": "o-r1", "kind": "refund", "amount": "10.00"}
    await desk.tell([event("refund", "conversion.reversed", days_ago(1), reversal)])
    assert await desk.judge("r1") == "awaiting_approval"
    claim = await _claim(desk)
    assert await _amounts(desk) == {"referrer": 2500, "referee": 700}
    assert ("adjusted" in await _flags(desk), claim["adjustments"]) == (False, [])
    assert [each["by"] for each in claim["fallen"]] == ["oscar"]
    async with desk.browser("paula") as browser:
        page = (await browser.get("/claims/r1")).text
    assert "oscar had adjusted the referrer" in page
    assert (await desk.decide("r1", "approve", "oscar")).status_code == 403  # not excluded, but no program owner
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201


async def test_what_fell_away_does_not_come_back_with_the_calculation(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500)
    issue = {"customer": {"customer": "c-r1"}, "issue": "i1"}
    await desk.tell([event("open", "customer.issue_opened", days_ago(2), issue)])
    await desk.judge("r1")
    assert await _amounts(desk) == {"referrer": 2500, "referee": 800}
    await desk.tell([event("solved", "customer.issue_resolved", days_ago(1), issue)])
    await desk.judge("r1")
    assert await _amounts(desk) == {"referrer": 2500, "referee": 800}
    assert "adjusted" not in await _flags(desk)


async def test_news_that_change_no_calculation_leave_it_in_force(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500)
    await desk.tell(
        [event("rated", "satisfaction.rated", days_ago(1), {"referral": "r1", "by": "referee", "score": 5})]
    )
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _amounts(desk) == {"referrer": 1500, "referee": 800}


@pytest.mark.parametrize(
    ("given", "status", "where"),
    [
        ({"leg": "referee", "amount_minor": 4001}, 409, "too_much"),
        ({"leg": "referee", "amount_minor": 800}, 409, "unchanged"),
        ({"leg": "referee", "amount_minor": 0}, 422, "amount_minor"),
        ({"leg": "friend", "leave_out": True}, 422, "leg"),
        ({"leg": "referee"}, 422, "amount_minor"),
        ({"leave_out": True}, 422, "leg"),
        ({"leg": "referee", "leave_out": True, "referrer": "mia"}, 422, "referrer"),
    ],
)
async def test_what_can_not_be_set_is_refused_with_what_would_be_right(
    desk: Desk, given: dict[str, Any], status: int, where: str
) -> None:
    await desk.referral("r1")
    refused = await desk.decide("r1", "adjust", "oscar", **given)
    assert refused.status_code == status, refused.text
    assert where in refused.text
    assert await _rows(desk, "SELECT id FROM decision") == []


async def test_who_holds_no_role_of_approvers_adjusts_nothing(desk: Desk) -> None:
    await desk.referral("r1")
    assert (await _set(desk, "referrer", who="ada")).status_code == 403


async def test_nobody_adjusts_what_benefits_them(desk: Desk) -> None:
    await desk.add_user("dex", Role.FINANCE, marks=marks(email="dexter@example.com"))
    await desk.referral("r1")
    refused = await _set(desk, "referee", who="dex")
    assert (refused.status_code, refused.json()["rule"]) == (409, "own_claim")


async def test_both_legs_are_not_left_out_because_that_is_a_denial(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer")
    refused = await _set(desk, "referee")
    assert (refused.status_code, refused.json()["rule"]) == (409, "nothing_left")
    assert "deny the claim instead" in refused.json()["detail"]


async def test_after_an_adjustment_the_old_claim_takes_no_approval(desk: Desk) -> None:
    await desk.referral("r1")
    assert (await _set(desk, "referrer", 1500)).status_code == 201
    refused = await desk.decide("r1", "approve", "paula")  # before anybody judged it again
    assert (refused.status_code, refused.json()["rule"]) == (409, "already_adjusted")
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _reserved(desk) == []


@pytest.mark.parametrize("judged", [True, False], ids=["reserved", "approved a moment ago"])
async def test_an_approval_before_the_adjustment_pays_nothing(desk: Desk, judged: bool) -> None:
    await desk.referral("r1")
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    if judged:
        assert await desk.judge("r1") == "approved"
    assert await _adjusted(desk, "referrer", 1500) == "awaiting_approval"
    assert await _reserved(desk) == []
    assert await _rows(desk, "SELECT account FROM posting GROUP BY account HAVING sum(amount_minor) <> 0") == []
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"
    assert await _reserved(desk) == [("referee", 800), ("referrer", 1500)]


async def test_once_a_payment_was_sent_nothing_is_adjusted(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve", "paula")
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET first_sent_at = now(), state = 'sending'"))
    refused = await _set(desk, "referrer", 1500)
    assert (refused.status_code, refused.json()["rule"]) == (409, "payment_committed")


async def test_a_held_claim_is_adjusted_after_its_release_only(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "hold", "paula")
    refused = await _set(desk, "referrer", 1500)
    assert (refused.status_code, refused.json()["rule"]) == (409, "on_hold")
    await desk.decide("r1", "release", "paula")
    assert await _adjusted(desk, "referrer", 1500) == "awaiting_approval"


async def test_a_hold_that_follows_an_adjustment_keeps_it_waiting(desk: Desk) -> None:
    await desk.referral("r1")
    assert (await _set(desk, "referrer", 1500)).status_code == 201
    assert (await desk.decide("r1", "hold", "paula")).status_code == 201
    assert await desk.judge("r1") == "on_hold"
    assert await _amounts(desk) == {"referrer": 2500, "referee": 800}
    assert (await desk.decide("r1", "release", "paula")).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _amounts(desk) == {"referrer": 1500, "referee": 800}


async def test_the_same_adjustment_again_is_the_first_one(desk: Desk) -> None:
    await desk.referral("r1")
    digest = (await _claim(desk))["digest"]
    first = await _set(desk, "referrer", 1500)
    again = await _set(desk, "referrer", 1500, digest=digest)
    other = await _set(desk, "referrer", 1600, digest=digest)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert other.status_code == 409


async def test_an_adjustment_of_a_user_who_was_barred_since_falls_away(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500)
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE app_user SET barred_at = now() WHERE name = 'oscar'"))
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _amounts(desk) == {"referrer": 2500, "referee": 800}


async def test_an_adjustment_that_nobody_signed_changes_nothing(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500)
    async with desk.database.transaction() as connection:
        await connection.execute(text("ALTER TABLE decision DISABLE TRIGGER USER"))
        forged = "UPDATE decision SET details = jsonb_set(details, '{amount_minor}', '9900') WHERE kind = 'adjust'"
        await connection.execute(text(forged))
        await connection.execute(text("UPDATE referral SET claim_version = -1"))
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _amounts(desk) == {"referrer": 2500, "referee": 800}


async def test_the_last_leg_that_is_left_is_not_left_out(desk: Desk) -> None:
    await _in_euro(desk)
    await _adjusted(desk, "referee", 950)
    await _adjusted(desk, "referrer", None, "fiona")
    assert await _amounts(desk) == {"referee": 950}
    refused = await _set(desk, "referee", None, "paula")
    assert (refused.status_code, refused.json()["rule"]) == (409, "nothing_left")


async def test_what_was_decided_says_what_it_names(desk: Desk) -> None:
    await desk.referral("r1")
    await _adjusted(desk, "referrer", 1500)
    (made,) = (await desk.get("/v1/claims/r1")).json()["decisions"]
    assert (made["kind"], made["leg"], made["amount_minor"]) == ("adjust", "referrer", 1500)
    assert [each["effect"] for each in made["effects"]] == ["applied"]
