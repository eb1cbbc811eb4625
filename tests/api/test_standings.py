"""What a front door may read: where referrals of its programs stand, as their referrers see it, and nothing else."""

from dataclasses import replace
from typing import Any, Final

import pytest

from referral_rewards.domain.people.authority import Scope
from tests.desk import Desk, days_ago, event

DOOR: Final = "door"
OF_DEXTER: Final = "/v1/standings?program=acme-friends&referrer=dexter"
#: What nobody outside may learn of a referral.
SECRET: Final = ("score", "flags", "checks", "digest", "b1@example.com", "c-b1", "o-b1", "referee")


async def add(desk: Desk, *scopes: Scope, programs: list[str], name: str = DOOR, **more: Any) -> None:
    new = {"name": name, "scopes": list(scopes), "programs": programs, **more}
    added = await desk.api.post("/v1/users", json=new, headers=desk.bearer("ada"))
    assert added.status_code == 201, added.text
    desk.tokens[name] = added.json()["token"]


async def test_a_door_reads_where_the_referrals_of_its_programs_stand(desk: Desk) -> None:
    await add(desk, Scope.REFERRALS_READ, programs=["acme-friends"])
    await desk.referral("b1")
    answer = await desk.get(OF_DEXTER, as_=DOOR)
    (found,) = answer.json()["standings"]
    assert (found["referral"], found["status"], found["side"]) == ("b1", "awaiting_approval", "referrer")
    assert (found["rewards"], found["status_url"]) == ([], None)
    assert [each for each in SECRET if each in answer.text] == []
    assert (await desk.get("/v1/standings/b1", as_=DOOR)).json() == found
    # A person who reads everything reads this too, and whoever may tell facts alone does not.
    assert (await desk.get("/v1/standings/b1?side=referee", as_="paula")).json()["side"] == "referee"
    assert (await desk.get("/v1/standings/b1", as_="site")).status_code == 403


async def test_pages_follow_one_another_from_the_newest_on(desk: Desk) -> None:
    await add(desk, Scope.REFERRALS_READ, programs=["acme-friends"])
    for name in ("b1", "b2", "b3"):
        await desk.referral(name)
    first = (await desk.get(f"{OF_DEXTER}&limit=2", as_=DOOR)).json()
    second = (await desk.get(f"{OF_DEXTER}&limit=2&after={first['next']}", as_=DOOR)).json()
    found = [each["referral"] for page in (first, second) for each in page["standings"]]
    assert (found, second["next"]) == (["b3", "b2", "b1"], None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (OF_DEXTER, 403),
        ("/v1/offers/acme-friends", 403),
        ("/v1/offers/none-such", 403),
        ("/v1/standings/b1", 404),
        ("/v1/standings/none-such", 404),
        ("/v1/referrals/b1", 403),
        ("/v1/referrals", 403),
        ("/v1/claims", 403),
        ("/v1/programs", 403),
        ("/v1/payees", 403),
        ("/v1/users", 403),
    ],
)
async def test_a_door_of_another_program_learns_nothing(desk: Desk, path: str, status: int) -> None:
    await add(desk, Scope.REFERRALS_READ, programs=["other"])
    await desk.referral("b1")
    assert (await desk.get(path, as_=DOOR)).status_code == status


async def test_a_link_to_a_status_page_takes_a_scope_of_its_own(desk: Desk) -> None:
    await add(desk, Scope.REFERRALS_READ, Scope.STATUS_LINKS, programs=["*"])
    await desk.referral("b1")
    # With a key of its own (docs/guides/rotating-secrets.md) links of the pepper open no page any more.
    desk.app.state.parts = replace(desk.parts, own_link_keys=(b"n" * 32,))
    url = (await desk.get("/v1/standings/b1?side=referee", as_=DOOR)).json()["status_url"]
    page = await desk.api.get(url)
    assert (page.status_code, "Your invitation" in page.text) == (200, True)
    await desk.add_user("nobody", scopes=(Scope.STATUS_LINKS,))
    assert (await desk.get("/v1/standings/b1", as_="nobody")).status_code == 403


async def test_the_answer_to_a_fact_names_its_referral_to_whoever_may_read_it(desk: Desk) -> None:
    tells = {"sources": ["test"], "types": ["referral.claimed", "consent.granted"]}
    await add(desk, Scope.REFERRALS_READ, Scope.EVENTS_WRITE, programs=["acme-friends"], **tells)
    claim = {"program": "acme-friends", "referrer": "dexter", "channel": "link", "referee": {"email": "z@example.com"}}
    consent = {"person": {"email": "z@example.com"}, "scope": "contact"}
    told = [event("z1", "referral.claimed", days_ago(1), claim), event("z2", "consent.granted", days_ago(1), consent)]
    first, second = (await desk.tell(told, as_=DOOR)).json()["facts"]
    assert second == {"index": 1, "outcome": "recorded", "referral": None}
    await desk.judge(first["referral"])
    shown = (await desk.get(f"/v1/standings/{first['referral']}", as_=DOOR)).json()
    assert (shown["status"], shown["channel"]) == ("claimed", "link")


async def test_an_offer_says_what_both_sides_get_and_how_long_they_have(desk: Desk) -> None:
    await add(desk, Scope.REFERRALS_READ, programs=["acme-friends"])
    offer = (await desk.get("/v1/offers/acme-friends", as_=DOOR)).json()
    assert offer["for_referee"] == "10 % of the net amount, at most 40.00 USD, account credit"
    assert offer["for_referrer"].startswith("25.00 USD from the first reward; 40.00 USD after 5 approved rewards")
    assert (offer["open"], offer["invitation_lasts"], offer["minimum"]) == (True, "30 days", "50.00 USD")
    assert (await desk.get("/v1/offers/none-such", as_="paula")).status_code == 404


@pytest.mark.parametrize(
    ("new", "what"),
    [
        ({"scopes": ["referrals:read"]}, "name the programs that referrals:read reads"),
        ({"scopes": ["status-links:read"], "programs": [" "]}, "name the programs that status-links:read reads"),
        (
            {"scopes": ["events:write"], "programs": ["a"], "sources": ["*"], "types": ["*"]},
            "only a user with",
        ),
        ({"roles": ["finance"], "programs": ["a"]}, "only a user with the scope referrals:read reads programs"),
    ],
)
async def test_programs_fit_the_scopes(desk: Desk, new: dict[str, Any], what: str) -> None:
    answer = await desk.api.post("/v1/users", json={"name": "x", **new}, headers=desk.bearer("ada"))
    (problem,) = answer.json()["problems"]
    assert (answer.status_code, problem["where"], what in problem["what"]) == (422, "programs", True)


async def test_programs_are_taken_away_at_once_and_on_record(desk: Desk) -> None:
    await add(desk, Scope.REFERRALS_READ, programs=["acme-friends"])
    path, headers = f"/v1/users/{DOOR}/programs", desk.bearer("ada")
    changed = await desk.api.put(path, json={"programs": ["other"]}, headers=headers)
    assert changed.status_code == 204
    assert (await desk.get(OF_DEXTER, as_=DOOR)).status_code == 403
    (entry,) = (await desk.get("/v1/audit?act=user.programs_set", as_="ada")).json()["events"]
    assert entry["details"] == {"before": ["acme-friends"], "programs": ["other"]}
    assert (await desk.api.put(path, json={}, headers=headers)).status_code == 422
