"""Attribution that changes after the conversion: it flags, and only people with the authority move the beneficiary."""

import json
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import text

from referral_rewards.domain.programs.terms import Role
from tests.desk import Desk, days_ago, event, marks

NOBODY = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(autouse=True)
async def _mia(desk: Desk) -> None:
    """Another referrer, to whom it is asked to move r1."""
    about = {"referrer": "mia", "program": "acme-friends", "customer": "c-mia", "email": "mia@example.com"}
    await desk.tell([event("e-mia", "referrer.enrolled", days_ago(200), about)])


async def _asked_to_move(desk: Desk, to: str = "mia", number: int = 1) -> str:
    about = {"referral": "r1", "from_referrer": "dexter", "to_referrer": to, "reason": "support_case"}
    await desk.tell([event(f"moved-{number}", "attribution.changed", days_ago(3 - number / 10), about)])
    return await desk.judge("r1")


async def _beneficiaries(desk: Desk) -> list[str]:
    return [leg["beneficiary"] for leg in (await _claim(desk))["legs"]]


async def _claim(desk: Desk) -> dict[str, Any]:
    claim: dict[str, Any] = (await desk.get("/v1/claims/r1")).json()["claim"]
    return claim


async def _reassign(desk: Desk, who: str = "paula", to: str = "mia") -> Response:
    return await desk.decide("r1", "reassign", who, referrer=to)


async def _decide(desk: Desk, kind: str, who: str) -> Response:
    return await (_reassign(desk, who) if kind == "reassign" else desk.decide("r1", kind, who))


async def _moved_by_both(desk: Desk, to: str = "mia") -> str:
    for who in ("paula", "oscar"):
        assert (await _reassign(desk, who, to)).status_code == 201
    return await desk.judge("r1")


async def _rows(desk: Desk, statement: str) -> list[Any]:
    async with desk.database.transaction() as connection:
        return list(await connection.execute(text(statement)))


async def test_what_is_asked_flags_and_moves_nothing(desk: Desk) -> None:
    await desk.referral("r1")
    assert await _asked_to_move(desk) == "awaiting_approval"
    claim = await _claim(desk)
    assert {each["flag"] for each in claim["flags"]} == {"attribution_changed"}
    assert await _beneficiaries(desk) == ["dexter", "c-r1"]


async def test_operations_and_the_program_owner_together_move_it(desk: Desk) -> None:
    await desk.referral("r1")
    await _asked_to_move(desk)
    before = (await _claim(desk))["digest"]
    assert (await _reassign(desk, "paula")).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _beneficiaries(desk) == ["dexter", "c-r1"]
    assert (await _reassign(desk, "oscar")).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _beneficiaries(desk) == ["mia", "c-r1"]
    assert (await _claim(desk))["digest"] != before


async def test_a_moved_claim_is_judged_for_its_new_referrer(desk: Desk) -> None:
    await desk.referral("r1")
    about = {"referrer": "mia", "program": "acme-friends", "reason": "under_investigation"}
    await desk.tell([event("mia-out", "referrer.suspended", days_ago(5), about)])
    await _asked_to_move(desk)
    assert await _moved_by_both(desk) == "denied"
    assert (await desk.get("/v1/referrals/r1")).json()["reason"] == "referrer_suspended"


async def test_an_approval_before_the_move_pays_neither(desk: Desk) -> None:
    await desk.referral("r1")
    assert (await desk.decide("r1", "approve")).status_code == 201
    assert await desk.judge("r1") == "approved"
    assert await _asked_to_move(desk) == "awaiting_approval"
    assert await _moved_by_both(desk) == "awaiting_approval"
    live = await _rows(desk, "SELECT beneficiary FROM leg WHERE state <> 'cancelled'")
    assert live == []
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201
    assert await desk.judge("r1") == "approved"
    reserved = await _rows(desk, "SELECT beneficiary FROM leg WHERE state <> 'cancelled' ORDER BY role DESC")
    assert [each.beneficiary for each in reserved] == ["mia", "c-r1"]


async def test_a_move_after_an_approval_that_was_not_paid_yet_takes_the_approval_back(desk: Desk) -> None:
    await desk.referral("r1")
    await _asked_to_move(desk)
    assert (await desk.decide("r1", "approve")).status_code == 201
    assert await desk.judge("r1") == "approved"
    assert await _moved_by_both(desk) == "awaiting_approval"
    assert await _beneficiaries(desk) == ["mia", "c-r1"]
    assert await _rows(desk, "SELECT id FROM leg WHERE state <> 'cancelled'") == []
    assert {each.state for each in await _rows(desk, "SELECT state FROM payout")} == {"cancelled"}
    booked = "SELECT account FROM posting GROUP BY account HAVING sum(amount_minor) <> 0"
    assert await _rows(desk, booked) == []


async def test_an_approval_of_what_is_being_moved_pays_nobody(desk: Desk) -> None:
    await desk.referral("r1")
    await _asked_to_move(desk)
    for who, kind in (("paula", "reassign"), ("paula", "approve"), ("oscar", "reassign")):
        assert (await _decide(desk, kind, who)).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"
    assert await _beneficiaries(desk) == ["mia", "c-r1"]
    assert await _rows(desk, "SELECT id FROM leg") == []


@pytest.mark.parametrize("kind", ["approve", "reassign"])
async def test_what_was_moved_a_moment_ago_is_neither_approved_nor_moved_again(desk: Desk, kind: str) -> None:
    await desk.add_user("pat", Role.PROGRAM_OWNER, Role.OPERATIONS)
    await desk.referral("r1")
    await _asked_to_move(desk)
    for who in ("paula", "oscar"):
        assert (await _reassign(desk, who)).status_code == 201
    refused = await _decide(desk, kind, "pat")
    assert (refused.status_code, refused.json()["rule"]) == (409, "already_moved")
    assert "already moved by paula and oscar" in refused.json()["detail"]


async def test_nobody_moves_what_nobody_asked_to_move(desk: Desk) -> None:
    await desk.referral("r1")
    refused = await _reassign(desk)
    assert (refused.status_code, refused.json()["rule"]) == (409, "no_other_referrer")
    assert "reassign" not in (await desk.get("/v1/claims/r1")).json()["takes"]


async def test_it_can_be_moved_back_by_a_further_decision(desk: Desk) -> None:
    await desk.referral("r1")
    await _asked_to_move(desk)
    await _moved_by_both(desk)
    await _asked_to_move(desk, "dexter", number=2)
    await _moved_by_both(desk, "dexter")
    assert await _beneficiaries(desk) == ["dexter", "c-r1"]


async def test_nobody_moves_a_reward_to_themselves(desk: Desk) -> None:
    await desk.add_user("mona", Role.OPERATIONS, marks=marks(email="Mia@example.com"))
    await desk.referral("r1")
    await _asked_to_move(desk)
    refused = await _reassign(desk, "mona")
    assert (refused.status_code, refused.json()["rule"]) == (409, "own_claim")


def _acts(referrer: str) -> str:
    """What a row says of a reassignment that nobody signed."""
    said = {
        "id": NOBODY,
        "referrer": referrer,
        "users": ["paula", "oscar"],
        "reason": "other",
        "at": "2026-01-01T00:00Z",
    }
    return json.dumps({"reassigned": said, "links": []})


@pytest.mark.parametrize("acts", [None, _acts("mia")], ids=["nobody", "no decision"])
async def test_a_row_that_says_it_was_moved_is_not_believed(desk: Desk, acts: str | None) -> None:
    await desk.referral("r1")
    await _asked_to_move(desk)
    async with desk.database.transaction() as connection:
        forged = text("UPDATE referral SET moved_to = 'mia', acts = CAST(:acts AS jsonb), claim_version = -1")
        await connection.execute(forged, {"acts": acts})
    await desk.judge("r1")
    assert await _beneficiaries(desk) == ["dexter", "c-r1"]


async def test_a_decision_that_moved_it_once_moves_it_to_nobody_else(desk: Desk) -> None:
    await desk.referral("r1")
    await _asked_to_move(desk)
    await _moved_by_both(desk)
    async with desk.database.transaction() as connection:
        forged = text("UPDATE referral SET moved_to = 'mallory', acts = CAST(:acts AS jsonb), claim_version = -1")
        await connection.execute(forged, {"acts": _acts("mallory")})
    await desk.judge("r1")
    assert await _beneficiaries(desk) == ["mia", "c-r1"]


async def test_asked_after_payment_it_opens_a_case_for_the_referrers_leg_alone(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET first_sent_at = now(), state = 'sending'"))
        await connection.execute(text("UPDATE referral SET status = 'paying'"))
    assert await _asked_to_move(desk) == "paying"
    cases = await _rows(desk, "SELECT l.role, c.why FROM clawback_case c JOIN leg l ON l.id = c.leg_id")
    assert [tuple(each) for each in cases] == [("referrer", "the reward was asked to be moved to mia")]
