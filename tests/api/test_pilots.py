"""Pilots over the API: a program that is ready starts one, a payout cycle is tracked, and a person signs the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from referral_rewards.audit.findings import ACCURACY_PARTS
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.pilots.outcome import SixParts
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions import chain
from referral_rewards.register.payouts import answers
from referral_rewards.register.people import users
from tests.audit.settled import rows
from tests.desk import Desk, days_ago, desk_after, event
from tests.register.cycling import Cycling, in_cycles
from tests.snapshots import Snapshots

PATH = "/v1/pilots/acme-friends"


@pytest.fixture
async def cycling(snapshots: Snapshots) -> AsyncIterator[Cycling]:
    """A desk whose program pays in cycles."""
    async with desk_after(snapshots, _in_cycles) as desk:
        yield Cycling(desk)


async def _in_cycles(desk: Desk) -> None:
    await desk.publish(in_cycles(**{"2025-01-01T00:00:00Z": "2025-02-01T00:00:00Z"}))


async def post(desk: Desk, act: str, as_: str = "paula", **given: Any) -> httpx.Response:
    """A decision on the pilot against what is shown of it now."""
    shown = (await desk.get(PATH)).json()
    asked = {"note": "looked at it", "digest": shown["digest"], **given}
    return await desk.api.post(f"{PATH}/{act}", json=asked, headers=desk.bearer(as_))


async def start(desk: Desk, as_: str = "paula", **given: Any) -> httpx.Response:
    return await post(desk, "start", as_, **{"owner": "paula", "reason": "new_program", **given})


async def started(desk: Desk, **given: Any) -> dict[str, Any]:
    made = await start(desk, **given)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def shown(desk: Desk, number: int | None = None) -> dict[str, Any]:
    found = await desk.get(PATH if number is None else f"{PATH}?number={number}")
    assert found.status_code == 200, found.text
    return dict(found.json())


async def paid(cycling: Cycling, *referrals: str) -> None:
    """A cycle in which these were approved and paid."""
    await cycling.approved(*referrals)
    cycle = await cycling.frozen()
    assert await cycling.decided(cycle, MoneyAct.RELEASE_CYCLE) == "released"
    await cycling.send(cycle)
    assert await cycling.settle(cycle) == "done"


async def test_of_many_who_start_or_end_a_pilot_at_once_one_is_recorded(cycling: Cycling) -> None:
    desk = cycling.desk
    people = [f"paula-{number}" for number in range(5)]
    for name in people:
        await desk.add_user(name, Role.FINANCE, Role.PROGRAM_OWNER)
    for act, given in (("start", {"owner": "paula", "reason": "new_program"}), ("end", {"reason": "funds_missing"})):
        digest = (await desk.get(PATH)).json()["digest"]
        answers = await asyncio.gather(*(post(desk, act, name, digest=digest, **given) for name in people))
        assert sorted(each.status_code for each in answers) == [201, 409, 409, 409, 409], [a.text for a in answers]


async def test_a_pilot_tracks_one_payout_cycle_to_its_end(cycling: Cycling) -> None:
    desk = cycling.desk
    made = await started(desk)
    assert (made["act"], made["user"], made["verdict"]) == ("start_pilot", "paula", None)
    its = (await shown(desk))["pilot"]
    assert (its["cycle"], its["verdict"], its["undecided"]) == (None, "undecided", ["The pilot still runs."])
    assert its["cycle_expected_on"] > datetime.now(UTC).date().isoformat()

    await desk.referral("waits")
    await paid(cycling, "r1", "r2")
    its = (await shown(desk))["pilot"]
    assert its["cycle_state"] == "done"
    assert its["over_at"] is not None
    assert (its["claims"], its["waiting"], its["paid"], its["unpaid"], its["moving"]) == (3, 1, 4, 0, 0)
    assert {(each["referral"], each["role"]) for each in its["rewards"]} == {
        (name, side) for name in ("r1", "r2") for side in ("referrer", "referee")
    }
    figures = its["figures"]
    assert (figures["claims_created"], figures["claims_approved"], figures["waiting"]) == (3, 2, 1)
    assert figures["payout_time"]["due_to_decided"]["n"] == 2
    assert [each["settled_minor"] for each in figures["reward_cost"]] == [5000 + 1600]


async def test_a_pilot_whose_rewards_all_hold_ends_with_a_go(cycling: Cycling) -> None:
    desk = cycling.desk
    await started(desk)
    await paid(cycling, "r1")
    its = (await shown(desk))["pilot"]
    assert (its["verdict"], its["paid"], its["accurate"]) == ("go", 2, 2)
    assert its["why"] == ["2 of 2 paid rewards hold all six parts; all were promised."]
    assert {tuple(each["failing"]) for each in its["rewards"]} == {()}
    made = await post(desk, "end", "fiona", reason="pilot_measured")
    assert (made.status_code, made.json()["verdict"]) == (201, "go")
    its = (await shown(desk))["pilot"]
    assert (its["ended"]["verdict"], its["ended"]["accurate"], its["ended"]["by"]) == ("go", 2, "fiona")


async def test_a_reward_that_was_changed_behind_our_backs_is_no_go(cycling: Cycling) -> None:
    desk = cycling.desk
    await started(desk)
    await paid(cycling, "r1")
    await rows(desk, "UPDATE leg SET amount_minor = amount_minor + 100 WHERE role = 'referee'")
    its = (await shown(desk))["pilot"]
    assert (its["verdict"], its["paid"], its["accurate"]) == ("no_go", 2, 1)
    first = its["rewards"][0]
    assert (first["role"], "payout_amount" in first["failing"], bool(first["findings"])) == ("referee", True, True)
    assert its["why"] == ["1 of 2 paid rewards holds all six parts; all were promised."]
    made = await post(desk, "end", reason="pilot_measured")
    assert (made.status_code, made.json()["verdict"]) == (201, "no_go")


async def test_a_reward_that_came_back_and_was_given_up_is_no_go(cycling: Cycling) -> None:
    desk = cycling.desk
    await started(desk)
    await paid(cycling, "r1")
    (payout,) = await rows(desk, "SELECT id, cycle_id FROM payout WHERE payee = 'c-r1'")
    async with desk.database.transaction() as connection:
        await answers.note(
            connection, payout.id, PayoutState.RETURNED, datetime.now(UTC), reference=None, why="it bounced"
        )
    assert (await shown(desk))["pilot"]["verdict"] == "undecided"
    path = f"/v1/payouts/{payout.id}"
    digest = (await desk.get(path, "fiona")).json()["digest"]
    asked = {"act": "cancel_payout", "reason": "other", "note": "looked at it", "digest": digest}
    made = await desk.api.post(f"{path}/decisions", json=asked, headers=desk.bearer("fiona"))
    assert made.status_code == 201, made.text
    await cycling.send(payout.cycle_id)
    its = (await shown(desk))["pilot"]
    assert (its["verdict"], its["paid"]) == ("no_go", 1)
    assert its["why"] == ["1 reward was paid, came back and was given up, so that can't be measured."]


def test_the_six_parts_are_those_of_the_audit() -> None:
    assert [each.value for each in SixParts] == [each.value for each in ACCURACY_PARTS]


async def test_what_was_paid_before_the_start_and_after_the_cycle_does_not_count(cycling: Cycling) -> None:
    desk = cycling.desk
    await cycling.approved("before")
    first = await cycling.frozen(days=-1)
    await cycling.decided(first, MoneyAct.RELEASE_CYCLE)
    await cycling.send(first)
    await cycling.settle(first)
    assert await desk.judge("before") == "rewarded"
    await started(desk)
    await paid(cycling, "during")
    await cycling.approved("after")
    second = await cycling.frozen(days=1)
    await cycling.decided(second, MoneyAct.RELEASE_CYCLE)
    await cycling.send(second)
    its = (await shown(desk))["pilot"]
    assert {each["referral"] for each in its["rewards"]} == {"during"}
    assert its["claims"] == 1


@pytest.mark.parametrize(
    ("sample", "referrals", "words"),
    [
        ({"first": 1}, {"r1"}, "the first 1 claim"),
        ({"referrals": ["r2"]}, {"r2"}, "the claims of referral r2"),
        ({"partners": ["gold-7"]}, set(), "the claims of the referrers of partner gold-7"),
        ({"partners": ["silver"]}, {"r1", "r2"}, "the claims of the referrers of partner silver"),
    ],
)
async def test_only_the_sample_counts(cycling: Cycling, sample: Any, referrals: set[str], words: str) -> None:
    desk = cycling.desk
    about = {"referrer": "dexter", "program": "acme-friends", "partner": "silver"}
    await desk.tell([event("partner", "referrer.enrolled", days_ago(299), about)])
    await desk.referral("r2")
    await desk.referral("r1")
    if "first" in sample:
        referrals = {"r2"}
    await started(desk, **sample)
    for name in ("r1", "r2"):
        await desk.decide(name, "approve")
        assert await desk.judge(name) == "approved"
    cycle = await cycling.frozen()
    await cycling.decided(cycle, MoneyAct.RELEASE_CYCLE)
    await cycling.send(cycle)
    its = (await shown(desk))["pilot"]
    assert its["sample"]["in_words"] == words
    assert {each["referral"] for each in its["rewards"]} == referrals
    assert its["claims"] == len(referrals)


async def test_a_program_that_is_not_ready_is_refused_with_each_gap(cycling: Cycling) -> None:
    desk = cycling.desk
    async with desk.database.transaction() as connection:
        await users.bar(connection, "fiona", at=datetime.now(UTC))
        await users.bar(connection, "oscar", at=datetime.now(UTC))
    refused = await start(desk)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:referrals:not-ready")
    assert [each["where"] for each in refused.json()["problems"]] == ["people", "people"]
    assert "finance" in refused.json()["problems"][0]["what"]
    assert (await shown(desk))["pilot"] is None


async def test_one_pilot_runs_at_a_time_and_another_follows_its_end(cycling: Cycling) -> None:
    desk = cycling.desk
    await started(desk)
    refused = await start(desk)
    assert (refused.status_code, refused.json()["rule"]) == (409, "not_now")
    ended = await post(desk, "end", "fiona", reason="something_wrong", note="The codes leaked.")
    assert (ended.status_code, ended.json()["verdict"]) == (201, "no_go")
    again = await post(desk, "end", "fiona", reason="something_wrong")
    assert (again.status_code, again.json()["rule"]) == (409, "not_now")
    await started(desk, threshold="99.5")
    assert (await shown(desk))["pilot"]["number"] == 2
    first = await shown(desk, 1)
    assert first["pilot"]["ended"]["by"] == "fiona"
    assert first["decisions"][1]["note"] == "The codes leaked."
    assert (await desk.get(f"{PATH}?number=3")).status_code == 404
    async with desk.database.transaction() as connection:
        assert await chain.chain_problems(connection, desk.parts.keys) == []


async def test_a_start_or_an_end_that_is_sent_again_is_on_record(cycling: Cycling) -> None:
    desk = cycling.desk
    for act, reason in (("start", "new_program"), ("end", "other")):
        digest = (await shown(desk))["digest"]
        given = {"reason": reason, "digest": digest, **({"owner": "paula"} if act == "start" else {})}
        made, again = await post(desk, act, **given), await post(desk, act, **given)
        assert (made.status_code, again.status_code) == (201, 200)
        assert (again.json()["id"], again.json()["repeated"]) == (made.json()["id"], True)
        other = await post(desk, act, "paula", **{**given, "reason": "other" if act == "start" else "fraud"})
        assert (other.status_code, other.json()["rule"]) == (409, "not_now")


async def test_the_end_is_signed_on_the_figures_that_were_shown(cycling: Cycling) -> None:
    desk = cycling.desk
    await started(desk)
    seen = (await shown(desk))["digest"]
    await paid(cycling, "r1")
    late = await post(desk, "end", reason="other", digest=seen)
    assert (late.status_code, late.json()["rule"]) == (409, "stale")
    made = await post(desk, "end", reason="other")
    assert (made.status_code, made.json()["verdict"]) == (201, "no_go")
    its = (await shown(desk))["pilot"]
    assert (its["ended"]["verdict"], its["ended"]["measured"], its["ended"]["paid"]) == ("no_go", "go", 2)


async def test_a_pilot_that_still_runs_does_not_end_as_measured(cycling: Cycling) -> None:
    desk = cycling.desk
    await started(desk)
    early = await post(desk, "end", reason="pilot_measured")
    assert (early.status_code, [each["where"] for each in early.json()["problems"]]) == (422, ["reason"])


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"owner": "paola"}, "owner"),
        ({"owner": "oscar"}, "owner"),
        ({"referrals": ["nobody"]}, "referrals"),
        ({"partners": ["nobody"]}, "partners"),
        ({"lasts": "soon"}, "lasts"),
        ({"threshold": "101"}, "threshold"),
        ({"first": 2, "partners": ["gold-7"]}, "sample"),
        ({"reason": "because"}, "reason"),
    ],
)
async def test_a_plan_that_can_not_be_kept_is_refused_at_its_place(
    cycling: Cycling, given: dict[str, Any], where: str
) -> None:
    refused = await start(cycling.desk, **given)
    assert (refused.status_code, [each["where"] for each in refused.json()["problems"]]) == (422, [where])


async def test_who_may_start_and_end(cycling: Cycling) -> None:
    desk = cycling.desk
    for name in ("fiona", "oscar", "ada"):
        assert (await start(desk, name)).status_code == 403
    await started(desk)
    for name in ("oscar", "ada"):
        assert (await post(desk, "end", name, reason="other")).status_code == 403
    assert (await desk.get(PATH, "oscar")).status_code == 200
    assert (await desk.get("/v1/pilots/none")).status_code == 404


async def test_a_program_that_pays_at_once_is_piloted_for_a_period(desk: Desk) -> None:
    refused = await start(desk)
    assert [each["where"] for each in refused.json()["problems"]] == ["lasts"]
    await started(desk, lasts="P30D")
    its = (await shown(desk))["pilot"]
    ends = datetime.fromisoformat(its["ends_at"]) - datetime.fromisoformat(its["started_at"])
    assert (its["lasts"], its["cycle"], abs(ends.days - 30) <= 1) == ("P30D", None, True)


async def test_a_program_that_is_paused_starts_none(desk: Desk) -> None:
    shown_now = (await desk.get("/v1/programs/acme-friends/life")).json()
    asked = {"act": "pause_program", "reason": "other", "note": "x", "digest": shown_now["digest"]}
    await desk.api.post("/v1/programs/acme-friends/decisions", json=asked, headers=desk.bearer("paula"))
    refused = await start(desk, lasts="P30D")
    assert (refused.status_code, refused.json()["problems"][0]["where"]) == (409, "terms")
