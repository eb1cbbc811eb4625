"""Who can decide what, when, and what is recorded of it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.people import users
from tests.desk import Desk, days_ago, event, life_of, marks


async def _count(desk: Desk, table: str) -> int:
    async with desk.database.transaction() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_an_approval_is_signed_chained_and_wakes_the_referral(desk: Desk) -> None:
    await desk.referral("r1")
    answer = await desk.decide("r1", "approve")
    assert answer.status_code == 201
    assert {name: answer.json()[name] for name in ("seq", "kind", "user", "roles", "repeated")} == {
        "seq": 1,
        "kind": "approve",
        "user": "paula",
        "roles": ["program_owner"],
        "repeated": False,
    }
    async with desk.database.transaction() as connection:
        assert await decisions.chain_problems(connection, desk.parts.keys) == []
        woken = (await connection.execute(text("SELECT kind, target FROM outbox"))).all()
    assert ("decision", "r1") in [tuple(each) for each in woken]
    assert await desk.judge("r1") == "approved"


async def test_the_same_decision_again_is_the_first_one(desk: Desk) -> None:
    await desk.referral("r1")
    first = await desk.decide("r1", "approve")
    await desk.judge("r1")
    again = await desk.decide("r1", "approve")
    assert (again.status_code, again.json()["id"], again.json()["repeated"]) == (200, first.json()["id"], True)
    assert await _count(desk, "decision") == 1


@pytest.mark.parametrize(
    ("kind", "then"),
    [
        ("approve", "denied"),
        ("approve", "refunded"),
        ("approve", "paid"),
        ("deny", "closed"),
        ("hold", "refunded"),
        ("request_evidence", "approved"),
    ],
)
async def test_a_decision_sent_again_is_the_first_one_whatever_became_of_its_claim(
    desk: Desk, kind: str, then: str
) -> None:
    await desk.referral("r1")
    shown = (await desk.get("/v1/claims/r1")).json()["digest"]
    first = await desk.decide("r1", kind)
    await desk.judge("r1")
    if then in ("denied", "approved"):
        await desk.decide("r1", "deny" if then == "denied" else "approve")
    if then == "refunded":
        await desk.tell([event("back", "conversion.reversed", days_ago(1), {"order": "o-r1", "kind": "refund"})])
    await desk.judge("r1")
    if then == "paid":
        async with desk.database.transaction() as connection:
            await connection.execute(text("UPDATE payout SET first_sent_at = now(), state = 'settled'"))
            await connection.execute(text("UPDATE referral SET status = 'rewarded'"))
    recorded = await _count(desk, "decision")
    again = await desk.decide("r1", kind, digest=shown)
    assert (again.status_code, again.json()["id"], again.json()["repeated"]) == (200, first.json()["id"], True)
    assert await _count(desk, "decision") == recorded


async def test_a_decision_on_what_looks_the_same_after_a_change_is_a_new_one(desk: Desk) -> None:
    await desk.add_user("olga", Role.PROGRAM_OWNER, Role.FINANCE, Role.OPERATIONS)
    await desk.referral("r1")
    first = await desk.decide("r1", "request_evidence")
    async with desk.database.transaction() as connection:
        # The claim was assembled anew, into the very same one.
        await connection.execute(_COPY_CLAIM)
    again = await desk.decide("r1", "request_evidence")
    assert (again.status_code, again.json()["repeated"]) == (201, False)
    assert again.json()["digest"] == first.json()["digest"]


_COPY_CLAIM = text("""
WITH again AS (
    INSERT INTO reward_claim
    SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid()))).* FROM reward_claim c RETURNING id
)
UPDATE referral SET claim_id = again.id FROM again
""")


@pytest.mark.parametrize(
    ("kind", "first", "by", "rule", "said"),
    [
        ("approve", "approve", "pat", "already_approved", "already approved by paula, "),
        ("deny", "approve", "pat", "already_denied", "already denied by paula, "),
        ("deny", "deny", "pat", "already_denied", "already denied by paula, "),
        ("deny", "hold", "pat", "already_denied", "already denied by paula, "),
        ("hold", "hold", "pat", "already_held", "already put on hold by paula, "),
        ("approve", "approve", "paula", "already_approved", "already approved by paula, "),
    ],
)
async def test_who_comes_second_is_told_who_was_first(
    desk: Desk, kind: str, first: str, by: str, rule: str, said: str
) -> None:
    await desk.add_user("pat", Role.PROGRAM_OWNER)
    await desk.referral("r1")
    assert (await desk.decide("r1", kind)).status_code == 201
    answer = await desk.decide("r1", first, by, note="looked at it, too")
    assert (answer.status_code, answer.json()["rule"]) == (409, rule)
    assert said in answer.json()["detail"]
    assert " UTC" in answer.json()["detail"]
    assert await _count(desk, "decision") == 1


async def test_of_two_who_reopen_the_second_is_told(desk: Desk) -> None:
    await desk.tell(life_of("r1")[:1])
    assert await desk.judge("r1") == "expired"
    assert (await desk.decide("r1", "reopen")).status_code == 201
    answer = await desk.decide("r1", "reopen", "fiona")
    assert (answer.status_code, answer.json()["rule"]) == (409, "already_reopened")
    assert await desk.judge("r1") == "awaiting_approval"


async def test_a_hold_after_its_release_is_a_new_one(desk: Desk) -> None:
    await desk.referral("r1")
    seen = []
    for kind in ("hold", "release", "hold"):
        answer = await desk.decide("r1", kind)
        seen.append((answer.status_code, answer.json()["seq"], await desk.judge("r1")))
    assert seen == [(201, 1, "on_hold"), (201, 2, "awaiting_approval"), (201, 3, "on_hold")]


@pytest.mark.parametrize(
    ("kind", "as_", "given", "status", "said"),
    [
        ("approve", "fiona", {}, 403, "you need the role program owner"),
        ("approve", "ada", {}, 403, "you need the role program owner"),
        ("approve", "site", {}, 403, "you need a role"),
        ("approve", "paula", {"digest": "0" * 64}, 409, "urn:referrals:stale-digest"),
        ("approve", "paula", {"reason": "fraud"}, 422, "terms_met, verified"),
        ("approve", "paula", {"note": "  "}, 422, "Enter a note"),
        ("approve", "paula", {"note": "x" * 2001}, 422, "at most 2,000 characters"),
        ("approve", "paula", {"note": "x\0"}, 422, "characters that can't be stored"),
        ("approve", "paula", {"digest": "not a digest"}, 422, "digest"),
        ("bless", "paula", {}, 422, "kind"),
        ("approve", "paula", {"amount": "1"}, 422, "amount"),
        ("release", "paula", {}, 409, "not_held"),
        ("reopen", "paula", {}, 409, "not_closed"),
    ],
)
async def test_a_refused_decision_leaves_no_trace(
    desk: Desk, kind: str, as_: str, given: dict[str, str], status: int, said: str
) -> None:
    await desk.referral("r1")
    answer = await desk.decide("r1", kind, as_, **given)
    assert answer.status_code == status
    assert said in answer.text
    assert await _count(desk, "decision") == 0
    assert await desk.judge("r1") == "awaiting_approval"


@pytest.mark.parametrize("where", ["note", "reason", "digest", "kind"])
async def test_half_a_surrogate_pair_is_no_text(desk: Desk, where: str) -> None:
    await desk.referral("r1")
    shown = (await desk.get("/v1/claims/r1")).json()["digest"]
    decision = {"kind": "approve", "reason": "terms_met", "note": "ok", "digest": shown, where: "\ud800"}
    answer = await desk.api.post(
        "/v1/claims/r1/decisions", content=json.dumps(decision), headers=desk.bearer("paula") | JSON
    )
    assert (answer.status_code, answer.json()["problems"][0]["where"]) == (422, where)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "identity",
    [{"customer": "c-r1"}, {"email": "R1+shop@example.com"}, {"email": "dexter@example.com"}, {"customer": "dexter"}],
    ids=["customer", "tagged email", "referrer's email", "referrer"],
)
async def test_nobody_decides_on_a_claim_they_benefit_from(desk: Desk, identity: dict[str, str]) -> None:
    await desk.add_user("brie", Role.PROGRAM_OWNER, marks=marks(**identity))
    await desk.referral("r1")
    answer = await desk.decide("r1", "approve", "brie")
    assert (answer.status_code, answer.json()["rule"]) == (409, "own_claim")


async def test_nobody_decides_on_what_they_entered_by_hand(desk: Desk) -> None:
    await desk.add_user("percy", Role.PROGRAM_OWNER)
    asked = {
        "program": "acme-friends",
        "referrer": "dexter",
        "referee": {"customer": "c-r1", "email": "r1@example.com"},
        "order": "o-r1",
        "by": "percy",
    }
    await desk.tell([*life_of("r1"), event("by-hand", "reward.requested", days_ago(30), asked)])
    await desk.judge("r1")
    assert (await desk.decide("r1", "approve", "percy")).json()["rule"] == "entered_by_hand"
    assert (await desk.decide("r1", "approve", "paula")).status_code == 201


async def test_one_person_does_not_count_twice(desk: Desk) -> None:
    await desk.add_user("olga", Role.PROGRAM_OWNER, Role.FINANCE, Role.OPERATIONS)
    await desk.referral("r1", device="d-1")
    await desk.tell([_same_device()])
    await desk.judge("r1")
    first = await desk.decide("r1", "approve", "olga", reason="exception_granted")
    assert first.status_code == 201, first.text
    assert await desk.judge("r1") == "awaiting_approval"
    again = await desk.decide("r1", "approve", "olga", reason="goodwill")
    assert (again.status_code, again.json()["rule"]) == (409, "different_people")
    assert (await desk.decide("r1", "approve", "oscar", reason="exception_granted")).status_code == 201
    assert await desk.judge("r1") == "approved"


def _same_device() -> dict[str, Any]:
    about = {
        "referrer": "dexter",
        "program": "acme-friends",
        "customer": "c-dexter",
        "email": "dexter@example.com",
        "device": "d-1",
    }
    return event("e-dexter-2", "referrer.enrolled", days_ago(299), about)


async def test_a_barred_user_is_nobody(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.database.transaction() as connection:
        await users.bar(connection, "fiona", at=datetime.now(UTC))
    answer = await desk.api.get("/v1/claims/r1", headers=desk.bearer("fiona"))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_nothing_is_approved_on_facts_that_were_not_judged_yet(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.tell([event("late", "satisfaction.rated", days_ago(1), {"referral": "r1", "score": 5})])
    refused = await desk.decide("r1", "approve")
    assert (refused.status_code, refused.json()["rule"]) == (409, "facts_unjudged")
    assert (await desk.decide("r1", "hold")).status_code == 201


async def test_after_the_first_payment_a_denial_points_to_the_clawback(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(
            text("UPDATE payout SET first_sent_at = now(), state = 'sending' WHERE referral_id = 'r1'")
        )
    for kind in ("deny", "hold"):
        answer = await desk.decide("r1", kind)
        assert (answer.status_code, answer.json()["rule"]) == (409, "payment_committed")
        assert "clawback" in answer.json()["detail"]


async def test_deny_and_hold_work_until_the_first_payment(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    assert (await desk.decide("r1", "deny")).status_code == 201
    assert await desk.judge("r1") == "denied"


async def test_a_closed_referral_takes_only_a_reopening_of_this_very_closing(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "deny")
    await desk.judge("r1")
    assert (await desk.decide("r1", "approve")).json()["rule"] == "closed"
    shown = (await desk.get("/v1/claims/r1")).json()
    assert shown["takes"] == ["reopen", "link"]
    assert (await desk.decide("r1", "reopen", digest=shown["claim"]["digest"])).status_code == 409
    assert (await desk.decide("r1", "reopen", "fiona")).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"
    reopened = (await desk.get("/v1/claims/r1")).json()["claim"]
    assert (reopened["override"], reopened["requirement"]["people"]) == (True, 2)


async def test_a_referral_that_never_had_a_claim_is_reopened_too(desk: Desk) -> None:
    await desk.tell(life_of("r1")[:1])
    assert await desk.judge("r1") == "expired"
    assert (await desk.decide("r1", "reopen")).status_code == 201
    assert await desk.judge("r1") == "awaiting_approval"


@pytest.mark.parametrize(("facts", "stands"), [(1, "invited"), (2, "claimed")])
async def test_without_a_claim_there_is_nothing_to_decide(desk: Desk, facts: int, stands: str) -> None:
    told = [{**each, "time": days_ago(5 - place).isoformat()} for place, each in enumerate(life_of("r1")[:facts])]
    await desk.tell(told)
    assert await desk.judge("r1") == stands
    answer = await desk.decide("r1", "approve")
    assert (answer.status_code, answer.json()["rule"]) == (409, "no_claim")
    assert (await desk.decide("nobody", "approve")).status_code == 404


async def test_a_shortened_digest_is_said_to_be_short_and_not_to_be_stale(desk: Desk) -> None:
    await desk.referral("r1")
    shown = (await desk.get("/v1/claims/r1")).json()["digest"]
    answer = await desk.decide("r1", "approve", digest=shown[:12])
    assert (answer.status_code, answer.json()["problems"][0]["where"]) == (422, "digest")
