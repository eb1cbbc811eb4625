"""What people decide about money by the API: against what was shown, each on its subject, refused with the rule."""

from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions import chain as decisions
from tests.desk import Desk, days_ago, event

#: A cycle and a clawback case beside the payout of the referral r1.
_CYCLE = uuid4()
_CASE = uuid4()


@pytest.fixture
async def payout(desk: Desk) -> str:
    """The payout to the referrer of an approved referral, which its rail refused after it was sent."""
    await desk.add_user("olga", Role.FINANCE)
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    await stand(desk, "refused", why="no such account")
    paid = (await desk.get("/v1/payouts?referral=r1")).json()["payouts"]
    (to_dexter,) = [each for each in paid if each["amount_minor"] == 2500]
    return str(to_dexter["payout"])


async def stand(desk: Desk, state: str, *, why: str | None = None, sent: bool = True, rail: str | None = None) -> None:
    """Has the payout stand there, as its rail's answers would."""
    async with desk.database.transaction() as connection:
        await connection.execute(
            text(
                "UPDATE payout SET state = :state, why = :why, rail = coalesce(:rail, rail),"
                " first_sent_at = CASE WHEN :sent THEN now() END, key_used_at = CASE WHEN :sent THEN now() END"
            ),
            {"state": state, "why": why, "sent": sent, "rail": rail},
        )


async def act(desk: Desk, path: str, act: str, as_: str = "olga", **given: Any) -> httpx.Response:
    shown = (await desk.get(path, as_)).json()
    asked = {"act": act, "reason": "other", "note": "looked at it", "digest": shown.get("digest", ""), **given}
    return await desk.api.post(f"{path}/decisions", json=asked, headers=desk.bearer(as_))


async def test_a_refused_payout_is_released_by_a_signed_decision_that_wakes_it(desk: Desk, payout: str) -> None:
    shown = (await desk.get(f"/v1/payouts/{payout}")).json()
    assert (shown["state"], shown["takes"]) == ("refused", ["retry_payout", "cancel_payout"])
    assert "then retry the payout" in shown["to_do"]
    assert [leg["referral"] for leg in shown["legs"]] == ["r1"]
    made = await act(desk, f"/v1/payouts/{payout}", "retry_payout", reason="details_corrected")
    assert (made.status_code, made.json()["act"], made.json()["subject"]) == (201, "retry_payout", payout)
    again = await act(desk, f"/v1/payouts/{payout}", "retry_payout", reason="details_corrected")
    assert (again.status_code, again.json()["id"], again.json()["repeated"]) == (200, made.json()["id"], True)
    async with desk.database.transaction() as connection:
        assert await decisions.chain_problems(connection, desk.parts.keys) == []
        woken = (await connection.execute(text("SELECT target FROM outbox WHERE kind = 'payout_due'"))).scalars()
    assert payout in set(woken)
    (on_it,) = (await desk.get(f"/v1/payouts/{payout}")).json()["decisions"]
    assert (on_it["user"], on_it["reason"], on_it["note"], on_it["genuine"]) == (
        *("olga", "details_corrected", "looked at it"),
        True,
    )


async def test_what_was_decided_by_hand_outside_is_signed_with_its_reference(desk: Desk, payout: str) -> None:
    await stand(desk, "manual_review")
    made = await act(desk, f"/v1/payouts/{payout}", "settle_payout", reference="tr_1")
    assert (made.status_code, made.json()["reference"]) == (201, "tr_1")


#: Where the payout stands and whether it was sent; what is asked, by whom, with what; the status, and what is said.
_REFUSED: Final[tuple[tuple[str, bool, str, str, dict[str, Any], int, str], ...]] = (
    ("refused", True, "retry_payout", "paula", {}, 403, "finance"),
    ("refused", True, "settle_payout", "olga", {"reference": "x"}, 409, "not_now"),
    ("settled", True, "retry_payout", "olga", {}, 409, "not_now"),
    ("unknown", True, "refuse_payout", "olga", {}, 409, "not_now"),
    ("manual_review", False, "settle_payout", "olga", {"reference": "x"}, 409, "not_now"),
    ("manual_review", True, "retry_payout", "olga", {}, 409, "not_now"),
    ("refused", True, "retry_payout", "olga", {"digest": "0" * 64}, 409, "stale"),
    ("refused", True, "retry_payout", "olga", {"reason": "list_checked"}, 422, "reason"),
    ("refused", True, "retry_payout", "olga", {"reference": "x"}, 422, "reference"),
    ("refused", True, "retry_payout", "olga", {"amount_minor": 1}, 422, "amount_minor"),
    ("refused", True, "retry_payout", "olga", {"note": " "}, 422, "note"),
    ("refused", True, "release_cycle", "olga", {}, 422, "act"),
    ("manual_review", True, "settle_payout", "olga", {}, 422, "reference"),
    ("manual_review", True, "settle_payout", "olga", {"reference": "a\nb"}, 422, "reference"),
)


async def test_a_decision_that_the_rules_do_not_admit_is_refused_with_the_rule(desk: Desk, payout: str) -> None:
    for state, sent, kind, by, given, status, said in _REFUSED:
        await stand(desk, state, sent=sent)
        answer = await act(desk, f"/v1/payouts/{payout}", kind, by, **given)
        problem = answer.json()
        assert (answer.status_code, said in (problem.get("rule") or problem["detail"])) == (status, True), problem
    async with desk.database.transaction() as connection:
        made = (await connection.execute(text("SELECT count(*) FROM decision"))).scalar_one()
        noted = (await connection.execute(_NOTED, {"payout": payout})).scalar_one()
    assert (made, noted) == (1, sum(status != 422 for *_, status, _ in _REFUSED))


_NOTED = text("SELECT count(*) FROM audit_event WHERE act = 'decision.refused' AND subject = :payout")


async def test_whoever_approved_a_reward_does_not_confirm_its_instruction(desk: Desk, payout: str) -> None:
    await stand(desk, "accepted", rail="manual")
    await desk.add_user("frank", Role.FINANCE, Role.PROGRAM_OWNER)
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE app_user SET roles = '{finance,program_owner}' WHERE name = 'paula'"))
    refused = await act(desk, f"/v1/payouts/{payout}", "confirm_payout", "paula", reference="B-1")
    assert (refused.status_code, refused.json()["rule"]) == (409, "different_people")
    assert (await act(desk, f"/v1/payouts/{payout}", "confirm_payout", "frank", reference="B-1")).status_code == 201


async def test_cases_and_cycles_are_decided_on_likewise(desk: Desk, payout: str) -> None:
    async with desk.database.transaction() as connection:
        await connection.execute(_OPEN_CYCLE, {"id": _CYCLE})
        await connection.execute(_OPEN_CASE, {"id": _CASE})
    case, cycle = f"/v1/clawbacks/{_CASE}", f"/v1/cycles/{_CYCLE}"
    shown = (await desk.get(case)).json()
    assert (shown["takes"], shown["room_minor"]) == (
        ["reverse_clawback", "offset_clawback", "write_off_clawback", "dismiss_clawback"],
        2500,
    )
    too_much = await act(desk, case, "offset_clawback", amount_minor=2501)
    assert (too_much.status_code, too_much.json()["rule"]) == (409, "too_much")
    too_little = await act(desk, case, "settle_clawback", reference="x")
    assert (too_little.status_code, too_little.json()["rule"]) == (409, "not_now")
    made = await act(desk, case, "offset_clawback", amount_minor=1000)
    assert (made.status_code, made.json()["amount_minor"]) == (201, 1000)
    (listed,) = (await desk.get("/v1/clawbacks?state=decided")).json()["cases"]
    assert (listed["case"], listed["paid_minor"], listed["room_minor"]) == (str(_CASE), 2500, 1500)
    assert [(each["kind"], each["state"]) for each in listed["clawbacks"]] == [("offset", "offsetting")]
    assert (await desk.get("/v1/clawbacks?state=open")).json() == {"cases": [], "next": None, "totals": None}
    assert (await desk.get(cycle)).json()["takes"] == ["release_cycle", "stop_cycle"]
    assert (await act(desk, cycle, "release_cycle", "paula")).status_code == 403
    assert (await act(desk, cycle, "release_cycle")).status_code == 201
    async with desk.database.transaction() as connection:
        woken = {tuple(row) for row in await connection.execute(text("SELECT kind, target FROM outbox"))}
    assert {("decision", "r1"), ("cycle_due", str(_CYCLE))} <= woken


async def test_of_what_there_is_none_nothing_is_shown_or_decided(desk: Desk) -> None:
    for room, kind in (("payouts", "cancel_payout"), ("clawbacks", "dismiss_clawback"), ("cycles", "stop_cycle")):
        nothing = f"/v1/{room}/{uuid4()}"
        assert (await desk.get(nothing)).status_code == 404
        assert (await desk.get(f"/v1/{room}/r1")).status_code == 422
        assert (await act(desk, nothing, kind, "fiona")).status_code == 404
        assert (await desk.get(nothing, "site")).status_code == 403


async def test_payouts_are_listed_by_what_is_asked_of_them(desk: Desk, payout: str) -> None:
    async def found(query: str) -> list[str]:
        return [each["payout"] for each in (await desk.get(f"/v1/payouts?{query}")).json()["payouts"]]

    both = await found("state=refused")
    assert payout in both
    assert len(both) == 2
    for query in ("program=acme-friends", "rail=account_credit", "referral=r1", ""):
        assert await found(query) == both, query
    payee = (await desk.get(f"/v1/payouts/{payout}")).json()["payee"]
    assert await found(f"payee={payee}") == [payout]
    await desk.publish_another()
    for query in ("state=settled", "program=other", "payee=x", "rail=manual", f"cycle={uuid4()}", "referral=r2"):
        assert await found(query) == [], query
    first = (await desk.get("/v1/payouts?limit=1")).json()
    assert first["next"] == both[0]
    assert await found(f"after={first['next']}") == both[1:]
    assert (await desk.get("/v1/payouts?state=gone")).status_code == 422


async def test_payouts_and_cases_come_the_newest_first_and_stay_where_they_are_between_pages(
    desk: Desk, payout: str
) -> None:
    async with desk.database.transaction() as connection:
        await connection.execute(_OPEN_CASE, {"id": _CASE})
        for days in (3, 1, 2, 2):
            await connection.execute(_ANOTHER_PAYOUT, {"days": days})
            await connection.execute(_ANOTHER_CASE, {"days": days})
    for room, name, at in (("payouts", "payout", "created_at"), ("clawbacks", "case", "opened_at")):
        whole = (await desk.get(f"/v1/{room}")).json()[room if room == "payouts" else "cases"]
        order = [(each[at], each[name]) for each in whole]
        assert len(order) >= 5
        assert order == sorted(order, reverse=True)
        paged: list[str] = []
        after = ""
        while True:
            page = (await desk.get(f"/v1/{room}?limit=2{after}")).json()
            paged += [each[name] for each in page[room if room == "payouts" else "cases"]]
            # What comes in meanwhile is newer than all that is still to be shown, whatever its id.
            async with desk.database.transaction() as connection:
                await connection.execute(_ANOTHER_PAYOUT if room == "payouts" else _ANOTHER_CASE, {"days": 0})
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert paged == [number for _, number in order]


_ANOTHER_PAYOUT = text("""
INSERT INTO payout
SELECT (jsonb_populate_record(CAST(NULL AS payout), to_jsonb(p) || jsonb_build_object(
    'id', n.id, 'provider_key', n.id, 'created_at', now() - make_interval(days => :days)))).*
FROM (SELECT * FROM payout LIMIT 1) AS p, (SELECT gen_random_uuid() AS id) AS n
""")
_ANOTHER_CASE = text("""
INSERT INTO clawback_case
SELECT (jsonb_populate_record(CAST(NULL AS clawback_case), to_jsonb(c) || jsonb_build_object(
    'id', n.id, 'fact_id', n.id, 'opened_at', now() - make_interval(days => :days)))).*
FROM (SELECT * FROM clawback_case LIMIT 1) AS c, (SELECT gen_random_uuid() AS id) AS n
""")
_OPEN_CYCLE = text("""
INSERT INTO payout_cycle (id, program, due_on, version, currency, state, digest, summary, opened_at, updated_at)
VALUES (:id, 'acme-friends', '2026-07-01', 1, 'USD', 'frozen', 'd', '{}', now(), now())
""")
_OPEN_CASE = text("""
WITH paid AS (UPDATE leg SET state = 'paid' WHERE role = 'referrer' RETURNING id, referral_id)
INSERT INTO clawback_case (leg_id, fact_id, id, referral_id, opened_at, why, state)
SELECT id, gen_random_uuid(), :id, referral_id, now(), 'the order was refunded', 'open' FROM paid
""")


async def test_whoever_told_a_fact_of_a_referral_moves_no_money_for_it(desk: Desk, payout: str) -> None:
    await desk.add_user("otto", Role.FINANCE, scopes=(Scope.EVENTS_WRITE,))
    rated = event("rated", "satisfaction.rated", days_ago(1), {"referral": "r1", "by": "referee", "score": 5})
    await desk.tell([rated], as_="otto")
    refused = await act(desk, f"/v1/payouts/{payout}", "retry_payout", "otto")
    assert (refused.status_code, refused.json()["rule"]) == (409, "told_by_oneself")
    assert (await act(desk, f"/v1/payouts/{payout}", "retry_payout")).status_code == 201
