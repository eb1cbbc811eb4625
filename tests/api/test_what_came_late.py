"""What comes after a referral has closed waits for a person, and each of it is answered: reopened, or left closed."""

from typing import Any

import pytest

from referral_rewards.domain.people.authority import Role
from tests.desk import Desk, days_ago, event
from tests.notices.posting import sql


async def _expired(desk: Desk) -> None:
    who = {"customer": "c-r1", "email": "r1@example.com"}
    about = {"referral": "r1", "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    await desk.tell([event("sent", "referral.sent", days_ago(40), about)])
    assert await desk.judge("r1") == "expired"


async def _appeal(desk: Desk, id_: str, by: str = "referee") -> None:
    said = {"referral": "r1", "by": by, "why": f"{id_}: I had claimed it in the shop."}
    await desk.tell([event(id_, "referral.appealed", days_ago(0), said)])
    await desk.judge("r1")


async def _claim_too_late(desk: Desk, id_: str) -> None:
    who = {"customer": "c-r1", "email": "r1@example.com"}
    said = {"referral": "r1", "referee": who, "consent": True}
    await desk.tell([event(id_, "referral.claimed", days_ago(1), said)])
    await desk.judge("r1")


async def _report(desk: Desk, id_: str) -> None:
    said = {"referral": "r1", "order": "o-shop", "by": "referee"}
    await desk.tell([event(id_, "conversion.reported", days_ago(30), said)])
    await desk.judge("r1")


async def _waiting(desk: Desk) -> list[str]:
    listed = (await desk.get("/v1/claims")).json()["claims"]
    return sorted(each["exception"] for each in listed if each["referral"] == "r1")


async def _leave_closed(desk: Desk, as_: str = "paula", **given: Any) -> Any:
    answer = await desk.decide("r1", "deny", as_, reason="terms_not_met", note="looked at again", **given)
    await desk.judge("r1")
    return answer


async def _letters(desk: Desk) -> list[tuple[str, str]]:
    rows = await sql(desk, "SELECT template, audience FROM notice WHERE template LIKE 'appeal%' ORDER BY audience")
    return [(row.template, row.audience) for row in rows]


BRINGS = {"appeal": _appeal, "late_fact": _claim_too_late, "reported": _report}


async def test_what_lifts_a_suspension_waits_beside_the_referral_that_was_denied_for_it(desk: Desk) -> None:
    """And what is told of the referrer wakes no other closed referral."""
    await _expired(desk)
    who = {"customer": "c-r2", "email": "r2@example.com"}
    about = {"referral": "r2", "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    bought = {"order": "o2", "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD"}
    of_dexter = {"referrer": "dexter", "program": "acme-friends"}
    await desk.tell([
        event("sent-2", "referral.sent", days_ago(40), about),
        event("claimed-2", "referral.claimed", days_ago(39), {"referral": "r2", "referee": who, "consent": True}),
        event("bought-2", "conversion.recorded", days_ago(38), {**bought, "new_customer": True}),
        event("suspended", "referrer.suspended", days_ago(37), of_dexter),
    ])  # fmt: skip
    assert await desk.judge("r2") == "denied"
    await desk.tell([event("reinstated", "referrer.reinstated", days_ago(1), of_dexter)])
    await desk.judge("r2")
    await desk.judge("r1")
    listed = (await desk.get("/v1/claims")).json()["claims"]
    assert [(each["referral"], each["exception"]) for each in listed if each["referral"] in ("r1", "r2")] == [
        ("r2", "late_fact")
    ]


@pytest.mark.parametrize("exception", sorted(BRINGS))
async def test_what_came_late_waits_until_it_is_left_closed_and_so_does_what_comes_next(
    desk: Desk, exception: str
) -> None:
    await _expired(desk)
    assert await _waiting(desk) == []
    for id_ in ("first", "second"):
        await BRINGS[exception](desk, id_)
        assert await _waiting(desk) == [exception]
        assert (await _leave_closed(desk)).status_code == 201
        assert await _waiting(desk) == []
    assert await desk.judge("r1") == "expired"


@pytest.mark.parametrize("exception", sorted(BRINGS))
async def test_reopening_answers_what_came_late_too(desk: Desk, exception: str) -> None:
    await _expired(desk)
    await BRINGS[exception](desk, "first")
    assert (await desk.decide("r1", "reopen", reason="late_fact", note="right")).status_code == 201
    await desk.judge("r1")
    assert exception not in await _waiting(desk)


async def test_each_appeal_waits_in_its_own_words_since_it_came(desk: Desk) -> None:
    await _expired(desk)
    await _appeal(desk, "first")
    await _appeal(desk, "second", by="referrer")
    entries = (await desk.get("/v1/claims?exception=appeal")).json()["claims"]
    said = [entry["about"] for entry in entries]
    assert said == [
        "Appeal by the referee, just now: “first: I had claimed it in the shop.”",
        "Appeal by the referrer, just now: “second: I had claimed it in the shop.”",
    ]
    received = await sql(desk, "SELECT received_at FROM fact WHERE type = 'referral.appealed' ORDER BY received_at")
    since = await sql(desk, "SELECT since FROM queue_entry WHERE exception = 'appeal' ORDER BY since")
    assert [row.since for row in since] == [row.received_at for row in received]


@pytest.mark.parametrize(("kind", "letter"), [("deny", "appeal_rejected"), ("reopen", "appeal_admitted")])
async def test_whoever_appealed_is_answered_and_nobody_else(desk: Desk, kind: str, letter: str) -> None:
    await _expired(desk)
    await _claim_too_late(desk, "late")
    await _appeal(desk, "first")
    reason = {"deny": "terms_not_met", "reopen": "appeal_upheld"}[kind]
    assert (await desk.decide("r1", kind, reason=reason, note="looked at again")).status_code == 201
    assert await _letters(desk) == [(letter, "referee")]


async def test_an_answer_to_late_facts_alone_writes_to_nobody(desk: Desk) -> None:
    await _expired(desk)
    await _claim_too_late(desk, "late")
    assert (await _leave_closed(desk)).status_code == 201
    assert await _letters(desk) == []


async def test_nothing_is_answered_that_the_person_has_not_seen(desk: Desk) -> None:
    await _expired(desk)
    await _appeal(desk, "first")
    shown = (await desk.get("/v1/claims/r1")).json()
    await _appeal(desk, "second")
    answer = await desk.decide("r1", "deny", reason="other", note="looked", digest=shown["digest"])
    assert answer.status_code == 409
    assert await _waiting(desk) == ["appeal", "appeal"]


async def test_a_closing_that_nothing_came_after_is_not_answered(desk: Desk) -> None:
    await _expired(desk)
    answer = await _leave_closed(desk)
    assert answer.status_code == 409
    assert "nothing waits for an answer" in answer.text


async def test_two_people_do_not_answer_the_same(desk: Desk) -> None:
    await _expired(desk)
    await _appeal(desk, "first")
    await desk.add_user("owen", Role.PROGRAM_OWNER)
    shown = (await desk.get("/v1/claims/r1")).json()
    asked = {"reason": "other", "note": "looked", "digest": shown["digest"]}
    assert (await desk.decide("r1", "deny", "paula", **asked)).status_code == 201
    second = await desk.decide("r1", "deny", "owen", **asked)
    assert second.status_code == 409
    assert "already left closed by paula" in second.text


async def test_an_answer_of_somebody_who_was_barred_before_it_was_judged_does_not_count(desk: Desk) -> None:
    await _expired(desk)
    await _appeal(desk, "first")
    await desk.add_user("mallory", Role.PROGRAM_OWNER)
    answer = await desk.decide("r1", "deny", "mallory", reason="other", note="looked")
    assert answer.status_code == 201
    await sql(desk, "UPDATE app_user SET barred_at = now() WHERE name = 'mallory' RETURNING name")
    await desk.judge("r1")
    assert await _waiting(desk) == ["appeal"]


async def test_a_report_of_a_closed_referral_becomes_a_late_fact_once_its_source_tells_the_order(desk: Desk) -> None:
    await _expired(desk)
    await _report(desk, "first")
    order = {"order": "o-shop", "kind": "purchase", "amount": "80.00", "currency": "USD", "new_customer": True}
    await desk.tell([event("sold", "conversion.recorded", days_ago(30), {**order, "customer": {"customer": "c-r1"}})])
    await desk.judge("r1")
    assert await _waiting(desk) == ["late_fact"]


async def test_what_came_late_is_not_answered_in_bulk(desk: Desk) -> None:
    await _expired(desk)
    await _appeal(desk, "first")
    shown = (await desk.get("/v1/claims/r1")).json()
    many = {"kind": "deny", "reason": "other", "note": "all", "claims": [{"referral": "r1", "digest": shown["digest"]}]}
    answer = await desk.api.post("/v1/claims/decisions", json=many, headers=desk.bearer("paula"))
    assert "decide on its own what came late" in answer.text
    assert await _waiting(desk) == ["appeal"]


async def test_the_reason_of_a_denial_stays_the_one_that_closed_it(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "deny", reason="duplicate", note="twice")
    assert await desk.judge("r1") == "denied"
    before = (await desk.get("/v1/referrals/r1")).json()["told"]
    await _appeal(desk, "first")
    assert (await _leave_closed(desk)).status_code == 201
    assert (await desk.get("/v1/referrals/r1")).json()["told"] == before
