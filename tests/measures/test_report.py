"""The report of a program, over HTTP: in the form of the contract, and refused where it was asked for wrongly."""

import csv
import io
from datetime import UTC, datetime

import pytest

from referral_rewards.register.measures import keeping
from tests.desk import Desk, days_ago, event, life_of

#: The members that the contract names.
MEASURES = {
    *("claims_created", "claims_approved", "denied_by_rule", "denied_by_decision", "waiting", "exceptions"),
    *("disputed_attribution", "duplicate_claims", "payout_time", "reward_cost", "referred_revenue"),
    "referrer_satisfaction",
}


async def test_the_report_has_the_form_of_the_contract(desk: Desk) -> None:
    await desk.referral("r1")

    report = (await desk.get("/v1/reports/program/acme-friends")).json()

    assert (report["program"], report["from"], report["to"], report["behind"]) == ("acme-friends", None, None, 0)
    its = report["measures"]
    assert its.keys() >= MEASURES
    assert its["exceptions"] == {"claims": 0, "by_flag": {}}
    assert its["duplicate_claims"] == {"claims": 0, "would_have_cost": []}
    assert its["payout_time"]["due_to_decided"] == {"n": 0, "median_s": None, "p95_s": None}
    of_the_contract = {"asked": 0, "n": 0, "mean": None, "scores": {}}
    assert its["referrer_satisfaction"] == {**of_the_contract, "answered": 0, "answer_rate": None}
    assert its["referred_revenue"] == [
        {"currency": "USD", "rewarded_minor": 0, "converted_minor": 8000, "gross_minor": 8000, "reversed_minor": 0}
    ]


async def test_the_report_as_csv_says_the_same(desk: Desk) -> None:
    await desk.referral("r1")

    sent = await desk.get("/v1/reports/program/acme-friends?from=2020-01-01&format=csv")

    rows = list(csv.DictReader(io.StringIO(sent.text)))
    found = {(row["figure"], row["part"], row["currency"]): row["value"] for row in rows}
    assert sent.headers["content-type"].startswith("text/csv")
    assert {row["from"] for row in rows} == {"2020-01-01"}
    assert found["claims_created", "", ""] == "1"
    assert found["referred_revenue", "converted_minor", "USD"] == "8000"
    assert found["refund_rate", "", ""] == "0.0"
    assert found["payout_time.due_to_decided", "median_s", ""] == ""


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("acme-friend", "acme-friends"),
        ("acme-friends?from=2026-07-01&to=2026-07-01", "is not after from"),
        ("acme-friends?from=July", "is a day such as"),
        ("acme-friends?since=2026-07-01", "since"),
    ],
)
async def test_a_report_asked_for_wrongly_is_refused(desk: Desk, path: str, says: str) -> None:
    answer = await desk.get(f"/v1/reports/program/{path}")

    assert answer.status_code == 422
    assert says in answer.text


async def test_who_only_tells_facts_reads_no_report(desk: Desk) -> None:
    assert (await desk.get("/v1/reports/program/acme-friends", as_="site")).status_code == 403


async def _enrolled(desk: Desk, referrer: str, partner: str) -> None:
    about = {"referrer": referrer, "program": "acme-friends", "customer": f"c-{referrer}", "partner": partner}
    await desk.tell([event(f"e-{referrer}", "referrer.enrolled", days_ago(300), about)])


async def _referred(desk: Desk, name: str, referrer: str) -> None:
    facts = life_of(name)
    facts[0]["data"]["referrer"] = referrer
    await desk.tell(facts)
    await desk.judge(name)


@pytest.mark.parametrize("caught_up", [False, True])
async def test_a_report_is_of_a_partner_or_of_one_referrer(desk: Desk, caught_up: bool) -> None:
    await _enrolled(desk, "mia", "blogs")
    await _enrolled(desk, "max", "blogs")
    for name, referrer in {"r1": "dexter", "r2": "mia", "r3": "mia", "r4": "max"}.items():
        await _referred(desk, name, referrer)
    if caught_up:
        await desk.database.write(keeping.catch_up, datetime.now(UTC))

    asked = {"": 4, "?partner=blogs": 3, "?referrer=mia": 2, "?referrer=dexter&partner=blogs": 0, "?partner=nobody": 0}
    found = {each: (await desk.get(f"/v1/reports/program/acme-friends{each}")).json() for each in asked}

    assert {each: report["measures"]["funnel"]["began"] for each, report in found.items()} == asked
    assert found["?referrer=mia"]["measures"]["referred_revenue"][0]["converted_minor"] == 16_000


async def test_a_figure_leads_to_the_referrals_behind_it(desk: Desk) -> None:
    await _referred(desk, "r1", "dexter")
    await _referred(desk, "r2", "dexter")
    await desk.database.write(keeping.catch_up, datetime.now(UTC))
    path = "/v1/reports/program/acme-friends/referrals?figure=converted"

    first = (await desk.get(f"{path}&limit=1")).json()
    second = (await desk.get(f"{path}&limit=1&after={first['next']}")).json()

    assert [(each["referral"], each["amount"]) for each in first["referrals"]] == [("r1", 8_000)]
    assert [each["referral"] for each in second["referrals"]] == ["r2"]
    behind = (await desk.get(f"{path.replace('converted', 'started')}&part=claimed")).json()
    assert [(each["referral"], each["part"], each["n"]) for each in behind["referrals"]] == [
        ("r1", "claimed", 1),
        ("r2", "claimed", 1),
    ]
    assert (await desk.get(path.replace("converted", "luck"))).status_code == 422
