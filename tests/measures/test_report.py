"""The report of a program, over HTTP: in the form of the contract, and refused where it was asked for wrongly."""

import csv
import io

import pytest

from tests.desk import Desk

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
    assert its["referrer_satisfaction"] == {"asked": 0, "n": 0, "mean": None, "scores": {}}
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
