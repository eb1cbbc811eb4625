"""What the API shows, and how it says no."""

from typing import Any
from urllib.parse import quote

import pytest

from referral_rewards.api.problems import STATUS, status_of
from referral_rewards.domain.errors import (
    ClocksApart,
    DatabaseSilent,
    NamespaceIncomplete,
    OutsideSilent,
    ReferralRewardsError,
    SealBroken,
)
from tests.desk import Desk, days_ago, event, life_of
from tests.statements import counted


def _tree(root: type[ReferralRewardsError]) -> list[type[ReferralRewardsError]]:
    return [each for child in root.__subclasses__() for each in (child, *_tree(child))]


@pytest.mark.parametrize("refusal", _tree(ReferralRewardsError))
def test_every_refusal_has_a_status(refusal: type[ReferralRewardsError]) -> None:
    # Only what waits for somebody else is not the asker's to put right.
    assert (
        status_of(refusal) >= 500
        if refusal in (ClocksApart, DatabaseSilent, NamespaceIncomplete, OutsideSilent, SealBroken)
        else 400 <= status_of(refusal) < 500
    )
    assert sum(issubclass(refusal, each) for each in STATUS) == 1


async def test_referrals_come_in_pages(desk: Desk) -> None:
    await desk.tell([each for name in ("a", "b", "c") for each in life_of(name)])
    pages, path = [], "/v1/referrals?limit=2"
    while path:
        page = (await desk.get(path)).json()
        pages.append([each["referral"] for each in page["referrals"]])
        path = f"/v1/referrals?limit=2&after={page['next']}" if page["next"] else ""
    assert pages == [["a", "b"], ["c"]]


async def test_referrals_are_found_by_status_and_program(desk: Desk) -> None:
    await desk.referral("a")
    await desk.tell(life_of("b")[:1])
    await desk.judge("b")
    await desk.publish_another()
    for query, found in [
        ("status=expired", ["b"]),
        ("status=awaiting_approval", ["a"]),
        ("program=acme-friends", ["a", "b"]),
        ("program=other", []),
    ]:
        page = (await desk.get(f"/v1/referrals?{query}")).json()
        assert [each["referral"] for each in page["referrals"]] == found, query


async def test_a_shown_referral_explains_itself(desk: Desk) -> None:
    await desk.referral("a")
    await desk.decide("a", "hold")
    await desk.judge("a")
    shown = (await desk.get("/v1/referrals/a")).json()
    assert (shown["status"], shown["version"]) == ("on_hold", 1)
    assert len(shown["claim"]["checks"]) == 21
    assert [fact["type"] for fact in shown["facts"]] == [
        *("referrer.enrolled", "referral.sent", "referral.claimed", "conversion.recorded")
    ]
    assert [(each["kind"], each["note"], each["genuine"]) for each in shown["decisions"]] == [
        ("hold", "looked at it", True)
    ]
    assert shown["periods"]["conversions"][0]["net_minor"] == 8000
    assert [step["status"] for step in shown["history"]][-2:] == ["awaiting_approval", "on_hold"]
    assert "example.com" not in str(shown), "personal data stays in its own table"


@pytest.mark.parametrize("name", ["2026/07/r1", "r1/decisions", "a?b#c", "a%2Fb", '{"a"}', "a\\b", "NULL", "漢" * 200])
async def test_a_referral_is_found_and_decided_whatever_its_id_is_made_of(desk: Desk, name: str) -> None:
    await desk.tell(_life_under_an_id_of_any_kind(name))
    await desk.judge(name)
    assert (await desk.get(f"/v1/referrals/{quote(name, safe='')}")).json()["referral"] == name
    made = await desk.decide(quote(name, safe=""), "hold")
    assert (made.status_code, made.json()["referral"]) == (201, name)


def _life_under_an_id_of_any_kind(name: str) -> list[dict[str, Any]]:
    life = life_of("a")
    for fact in life:
        if "referral" in fact["data"]:
            fact["data"]["referral"] = name
    return life


async def test_a_row_that_nobody_signed_is_shown_as_forged(desk: Desk) -> None:
    await desk.referral("a")
    await desk.decide("a", "hold")
    await desk.judge("a")
    # Somebody else's keys: to them the decision carries no signature that they believe.
    object.__setattr__(desk.parts, "keys", type(desk.parts.keys).of([]))
    assert [each["genuine"] for each in (await desk.get("/v1/referrals/a")).json()["decisions"]] == [False]
    assert [each["approval"]["signed"] for each in (await desk.get("/v1/claims")).json()["claims"]] == [[]]


async def test_the_queue_holds_what_waits_for_a_person_oldest_first(desk: Desk) -> None:
    await desk.referral("b")
    await desk.referral("a")
    await desk.decide("a", "hold")
    await desk.judge("a")
    await desk.tell(life_of("c")[:1])
    await desk.judge("c")
    await desk.tell([event("c-late", "referral.appealed", days_ago(1), {"referral": "c", "by": "referrer"})])
    await desk.judge("c")
    await desk.tell(life_of("d")[:1])
    await desk.judge("d")
    entries = (await desk.get("/v1/claims")).json()["claims"]
    assert [(each["referral"], each["exception"]) for each in entries] == [
        *(("b", "approval"), ("a", "approval"), ("c", "appeal"))
    ]
    held = entries[1]
    assert (held["referrer"], held["referred_customer"], held["status"]) == ("dexter", "c-a", "on_hold")
    assert held["eligibility"] == {"recommendation": "approve", "flags": [], "reason": None}
    assert (held["conversion"]["order"], held["conversion"]["net_minor"]) == ("o-a", 8000)
    assert [(leg["role"], leg["amount_minor"]) for leg in held["reward"]] == [("referrer", 2500), ("referee", 800)]
    assert held["approval"]["needs"] == ["program_owner"]
    assert [(each["user"], each["kind"]) for each in held["approval"]["signed"]] == [("paula", "hold")]


async def test_services_read_nothing(desk: Desk) -> None:
    for path in ("/v1/referrals", "/v1/referrals/a", "/v1/claims", "/v1/claims/a"):
        assert (await desk.get(path, as_="site")).status_code == 403


async def test_readiness_is_told_at_once_and_asks_nothing(desk: Desk) -> None:
    with counted() as sent:
        desk.parts.ready.found("the database does not answer")
        answer = await desk.api.get("/readyz")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert (answer.json()["type"], answer.headers["Retry-After"]) == ("urn:referrals:database-silent", "60")
        assert (await desk.api.get("/livez")).status_code == 200
        desk.parts.ready.found(None)
        assert (await desk.api.get("/readyz")).status_code == (await desk.api.head("/readyz")).status_code == 200
    assert sent.statements == []


async def test_readiness_metrics_and_the_description_need_no_token(desk: Desk) -> None:
    await desk.tell(life_of("a")[0])
    assert (await desk.api.get("/healthz")).json() == (await desk.api.get("/readyz")).json() == {"status": "ok"}
    assert (await desk.api.get("/metrics")).status_code == 404, "they have a port of their own"
    exposition = await desk.metrics()
    assert 'referrals_facts_total{outcome="recorded"} 1.0' in exposition
    assert "referrals_outbox_depth 1.0" in exposition
    page = (await desk.api.get("/docs")).text
    paths = (await desk.api.get("/openapi.json")).json()["paths"]
    assert all(path in page for path in paths)
    assert "//cdn" not in page
    assert "`" not in page
    assert "gives 409. Of an array the valid ones are stored" in page, "lines are joined as they were typed to be"
    assert (await desk.api.get("/nowhere")).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("store", "order"), [({}, "o-r1"), ({"store": "till"}, "o-r1 of store till")])
async def test_a_conversion_that_only_the_referee_reports_waits_in_the_queue_and_never_counts(
    desk: Desk, store: dict[str, str], order: str
) -> None:
    sent, claimed, bought = life_of("r1")
    for number, fact in enumerate((sent, claimed, bought)):
        fact["time"] = days_ago(9 - number).isoformat()
    await desk.tell([sent, claimed])
    assert await desk.judge("r1") == "claimed"
    reported = {"referral": "r1", "order": "o-r1", **store, "by": "referee", "note": "bought in the store"}
    await desk.tell([event("told", "conversion.reported", days_ago(7), reported)])
    assert await desk.judge("r1") == "claimed"
    queue = (await desk.get("/v1/claims")).json()["claims"]
    assert [(each["referral"], each["exception"], each["about"]) for each in queue] == [
        ("r1", "reported", f"the referee tells of order {order}, which no source has confirmed")
    ]
    await desk.tell([bought])
    assert await desk.judge("r1") == "in_return_period"
    assert (await desk.get("/v1/claims")).json()["claims"] == []


async def test_a_refusal_is_told_to_the_people_concerned_with_the_way_to_appeal(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "deny", reason="duplicate")
    assert await desk.judge("r1") == "denied"
    told = (await desk.get("/v1/referrals/r1")).json()["told"]
    assert "already rewarded" in told["why"]
    assert told["appeal"].startswith("If you think this is wrong, you can appeal")
