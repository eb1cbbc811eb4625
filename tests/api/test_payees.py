"""Payees by API and on the desk: what is known of each, the year-end report, and who may read them."""

import csv
import io
from typing import Any

import pytest
from sqlalchemy import text

from tests.desk import Desk

PATHS = ("/v1/payees", "/v1/payees/dexter", "/v1/reports/tax?year=2026")
PAGES = ("/payees", "/payees/dexter", "/payees/dexter?year=2025", "/reports/tax?year=2026")


@pytest.fixture
async def kept(desk: Desk) -> Desk:
    """A desk at which one referral was approved, and whose referrer filed a form."""
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    told = await desk.tell(
        [
            _told("f1", "payee.tax_form_filed", payee="dexter", form="W-9", withholding_percent="24"),
            _told("m1", "payee.method_set", payee="dexter", rail="paypal_payouts", reference="dexter@example.com"),
            _told("m2", "payee.method_set", payee="dexter", rail="stripe_transfer", reference="acct_1"),
            _told("m3", "payee.method_set", payee="dexter", rail="tremendous"),
            _told("m4", "payee.method_removed", payee="dexter", rail="tremendous"),
        ]
    )
    assert told.is_success
    return desk


def _told(id_: str, type_: str, **data: str) -> dict[str, Any]:
    time = f"2026-06-01T12:00:0{id_[1]}Z"
    return {"specversion": "1.0", "id": id_, "source": "t", "type": type_, "time": time, "data": data}


async def test_finance_and_administrators_read_of_payees_and_nobody_else(kept: Desk) -> None:
    for path in PATHS:
        for user, status in {"fiona": 200, "ada": 200, "paula": 403, "site": 403}.items():
            assert (await kept.get(path, as_=user)).status_code == status, (path, user)
        assert (await kept.api.get(path)).status_code == 401
    async with kept.browser("paula") as browser:
        for path in PAGES:
            assert (await browser.client.get(path)).status_code == 403, path


async def test_a_payee_is_told_by_methods_forms_totals_and_what_waits(kept: Desk) -> None:
    told = (await kept.get("/v1/payees/dexter", as_="fiona")).json()
    assert [(each["rail"], each["reference"][:7]) for each in told["methods"]] == [
        ("paypal_payouts", "method:"),
        ("stripe_transfer", "acct_1"),
    ]
    assert [(each["form"], each["withholding_percent"]) for each in told["forms"]] == [("W-9", "24")]
    (us,) = told["tax"]
    assert (us["standing"], us["needs_form"], us["counts_minor"]) == ("in_force", False, 2500)
    assert told["counts_minor"] == {"USD": 2500}
    assert (told["paid_in_year"], told["paid_by_program"]) == ([], [])
    assert [(each["referral"], each["state"]) for each in told["waiting"]] == [("r1", "reserved")]
    assert told["balances"] == [{"account": "payable:dexter", "currency": "USD", "amount_minor": -2500}]
    before = (await kept.get("/v1/payees/dexter?year=2025", as_="fiona")).json()
    assert (before["counts_minor"], before["tax"][0]["threshold_minor"]) == ({}, 600_00)
    assert (await kept.get("/v1/payees/nobody", as_="fiona")).status_code == 404


async def test_why_a_form_is_needed_below_the_threshold_is_said(kept: Desk) -> None:
    said = "paid in another currency"
    async with kept.browser("fiona") as browser:
        assert said not in (await browser.get("/payees/c-r1")).text
        async with kept.database.transaction() as connection:
            await connection.execute(text("UPDATE leg SET currency = 'INR' WHERE beneficiary = 'c-r1'"))
        assert said in (await browser.get("/payees/c-r1")).text


async def test_payees_come_in_pages(kept: Desk) -> None:
    found, after = [], ""
    while after is not None:
        told = (await kept.get(f"/v1/payees?limit=1&after={after}", as_="fiona")).json()
        found += [(each["payee"], each["owed_minor"], each["forms"]) for each in told["payees"]]
        after = told["next"]
    assert found == [("c-r1", {"USD": 800}, {"us": "missing"}), ("dexter", {"USD": 2500}, {"us": "in_force"})]
    assert (await kept.get("/v1/payees?held=true", as_="fiona")).json()["payees"] == []


async def test_the_report_of_a_year_is_a_file_and_a_year_that_is_none_is_refused(kept: Desk) -> None:
    told = await kept.get("/v1/reports/tax?year=2026&regime=us", as_="fiona")
    assert told.headers["content-disposition"] == 'attachment; filename="tax-2026-us.csv"'
    assert list(csv.DictReader(io.StringIO(told.text))) == []
    whole = await kept.get("/v1/reports/tax?year=2026&format=json", as_="fiona")
    assert (whole.json(), whole.headers["content-type"]) == ({"year": 2026, "payees": []}, "application/json")
    for wrong in ("", "?year=soon", "?year=3000", "?year=2026&regime=atlantis", "?year=2026&format=xml"):
        assert (await kept.get(f"/v1/reports/tax{wrong}", as_="fiona")).status_code == 422, wrong


async def test_the_pages_of_payees_say_the_same_and_are_linked_from_the_referral(kept: Desk) -> None:
    async with kept.browser("fiona") as browser:
        for path in PAGES:
            assert (await browser.client.get(path)).status_code == 200, path
        page = (await browser.client.get("/payees/dexter")).text
        for said in ("W-9", "24 %", "acct_1", "/referrals/r1", "25.00 USD", "payable:dexter"):
            assert said in page, said
        assert "dexter@example.com" not in page
        assert (await browser.client.get("/payees?q=dexter")).headers["location"] == "/payees/dexter"
        assert (await browser.client.get("/payees/nobody")).status_code == 404
        for wrong in ("soon", "99999", "-1", "²"):
            assert (await browser.client.get(f"/payees/dexter?year={wrong}")).status_code == 422, wrong
            assert (await browser.client.get(f"/reports/tax?year={wrong}")).status_code == 422, wrong
        for path in ("/referrals/r1", "/claims/r1"):
            assert 'href="/payees/dexter"' in (await browser.client.get(path)).text
    async with kept.browser("paula") as browser:
        assert "/payees" not in (await browser.client.get("/referrals/r1")).text


async def test_nobodys_form_is_missing_where_no_program_reports_to_an_authority(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        unreported = """UPDATE program_version SET terms = jsonb_set(terms, '{tax,regime}', '"none"')"""
        await connection.execute(text("SET LOCAL session_replication_role = replica"))  # terms are append-only
        await connection.execute(text(unreported))
    told = (await kept.get("/v1/payees/c-r1", as_="fiona")).json()
    assert (told["tax"], told["forms"]) == ([], [])
    listed = {each["payee"]: each["forms"] for each in (await kept.get("/v1/payees", as_="fiona")).json()["payees"]}
    assert listed == {"c-r1": {}, "dexter": {"us": "in_force"}}
    async with kept.browser("fiona") as browser:
        assert "No program reports to a tax authority" in (await browser.client.get("/payees/c-r1")).text


async def test_a_statement_tells_what_was_earned_and_comes_to_the_ledger(kept: Desk) -> None:
    told = (await kept.get("/v1/payees/dexter/statement", as_="fiona")).json()
    (usd,) = told["currencies"]
    (earned,) = usd["events"]
    assert (earned["event"], earned["referrals"], earned["program"]) == ("earned", ["r1"], "acme-friends")
    assert usd["opening"] == {"owed_minor": 0, "owing_minor": 0, "balance_minor": 0}
    assert usd["closing"] == {"owed_minor": 2500, "owing_minor": 0, "balance_minor": 2500}
    before = (await kept.get("/v1/payees/dexter/statement?to=2020-01-01", as_="fiona")).json()
    assert before["currencies"] == []
    after = (await kept.get("/v1/payees/dexter/statement?from=2500-01-01", as_="fiona")).json()
    assert (after["currencies"][0]["opening"]["balance_minor"], after["currencies"][0]["events"]) == (2500, [])
    file = await kept.get("/v1/payees/dexter/statement?format=csv", as_="fiona")
    assert [(row["event"], row["balance"]) for row in csv.DictReader(io.StringIO(file.text))] == [
        ("opening_balance", "0.00"),
        ("earned", "25.00"),
        ("closing_balance", "25.00"),
    ]
    assert "dexter@example.com" not in file.text


async def test_a_statement_is_for_finance_and_of_a_payee_who_is_known(kept: Desk) -> None:
    assert (await kept.get("/v1/payees/dexter/statement", as_="paula")).status_code == 403
    for path in ("/v1/payees/nobody/statement", "/v1/payees/nobody/statement?format=csv"):
        assert (await kept.get(path, as_="fiona")).status_code == 404
    assert (await kept.get("/v1/payees/dexter/statement?from=soon", as_="fiona")).status_code == 422
    async with kept.browser("fiona") as browser:
        page = (await browser.get("/payees/dexter/statement")).text
        for said in ("Opening balance", "Earned", "+25.00 USD", "Closing balance", "/referrals/r1", "format=csv"):
            assert said in page, said
        assert 'href="/payees/dexter/statement"' in (await browser.get("/payees/dexter")).text
        assert (await browser.client.get("/payees/dexter/statement?format=csv")).text.startswith("at,event,currency")
        assert (await browser.client.get("/payees/nobody/statement")).status_code == 404
    async with kept.browser("paula") as browser:
        assert (await browser.client.get("/payees/dexter/statement")).status_code == 403
