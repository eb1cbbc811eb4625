"""The books by API and on the desk: what stands in them, and who may read it."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from beancount.loader import load_string
from sqlalchemy import text

from tests.desk import Desk

PATHS = ("/v1/ledger/balance", "/v1/ledger/export?format=csv", "/v1/ledger/export?format=beancount")


@pytest.fixture
async def kept(desk: Desk) -> Desk:
    """A desk whose books hold one approved referral."""
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    return desk


@pytest.mark.parametrize("path", PATHS)
async def test_finance_and_administrators_read_the_books_and_nobody_else(desk: Desk, path: str) -> None:
    for user, status in {"fiona": 200, "ada": 200, "paula": 403, "oscar": 403, "site": 403}.items():
        assert (await desk.get(path, as_=user)).status_code == status, user
    assert (await desk.api.get(path)).status_code == 401


async def test_the_trial_balance_tells_each_account_and_that_both_columns_are_equal(kept: Desk) -> None:
    told = (await kept.get("/v1/ledger/balance", as_="fiona")).json()
    assert told["totals"] == [{"currency": "USD", "debit_minor": 3300, "credit_minor": 3300}]
    assert [(each["account"], each["debit_minor"], each["credit_minor"]) for each in told["accounts"]] == [
        ("expense:acme-friends", 3300, 0),
        ("payable:c-r1", 0, 800),
        ("payable:dexter", 0, 2500),
    ]
    assert told["next"] is None


async def test_the_trial_balance_comes_in_pages(kept: Desk) -> None:
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        told = (await kept.get(f"/v1/ledger/balance?limit=2&after={after}", as_="fiona")).json()
        assert told["totals"] == [{"currency": "USD", "debit_minor": 3300, "credit_minor": 3300}]
        found += [each["account"] for each in told["accounts"]]
        after = told["next"]
    assert found == ["expense:acme-friends", "payable:c-r1", "payable:dexter"]
    told = (await kept.get("/v1/ledger/balance?kind=expense", as_="fiona")).json()
    assert [each["account"] for each in told["accounts"]] == ["expense:acme-friends"]


async def test_the_trial_balance_of_a_day_is_that_of_its_end(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        today = (await connection.execute(text("SELECT max(posted_at) FROM ledger_transaction"))).scalar_one().date()
    assert (await kept.get(f"/v1/ledger/balance?at={today - timedelta(days=1)}", as_="fiona")).json()["accounts"] == []
    assert len((await kept.get(f"/v1/ledger/balance?at={today}", as_="fiona")).json()["accounts"]) == 3


async def test_an_export_is_the_books_as_a_file(kept: Desk) -> None:
    told = await kept.get("/v1/ledger/export?format=beancount&since=2020-01-01", as_="fiona")
    assert told.headers["content-type"] == "text/plain; charset=utf-8"
    assert told.headers["content-disposition"] == 'attachment; filename="ledger-2020-01-01.beancount"'
    entries, errors, _ = load_string(told.text)
    assert errors == []
    assert entries
    told = await kept.get("/v1/ledger/export?format=csv", as_="fiona")
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    assert sorted(row["credit"] for row in csv.DictReader(io.StringIO(told.text))) == ["", "", "25.00", "8.00"]
    told = await kept.get("/v1/ledger/export?format=csv&until=2020-01-01", as_="fiona")
    assert len(told.text.splitlines()) == 1


@pytest.mark.parametrize(
    "asked",
    [
        "export",
        "export?format=ods",
        "export?format=csv&since=1",
        "export?format=csv&since=2026-02-30",
        "export?format=csv&since=2026-02-02&until=2026-02-01",
        "balance?at=yesterday",
        "balance?limit=0",
        "balance?kind=bank",
        "balance?after=%00",
    ],
)
async def test_what_can_not_be_asked_for_is_named(desk: Desk, asked: str) -> None:
    refused = await desk.get(f"/v1/ledger/{asked}", as_="fiona")
    assert refused.status_code == 422
    assert len(refused.json()["problems"]) == 1


async def test_the_page_shows_the_trial_balance_to_whoever_may_read_it(kept: Desk) -> None:
    async with kept.browser("fiona") as browser:
        shown = await browser.get("/ledger")
        assert shown.status_code == 200
        assert 'href="/ledger" aria-current="page"' in shown.text
        assert [each in shown.text for each in ("payable:dexter", "25.00 USD", "33.00 USD")] == [True] * 3
        assert "does not balance" not in shown.text
        assert "payable:dexter" not in (await browser.get("/ledger?kind=expense")).text
        assert "payable:dexter" not in (await browser.get("/ledger?at=2020-01-01")).text
        assert "payable:dexter" not in (await browser.get("/ledger?account=payable:c")).text
        file: Any = await browser.get("/ledger/export?format=csv&until=")
        assert "payable:dexter" in file.text
        for wrong in ("at=x", "kind=bank", "account=%00"):
            assert (await browser.get(f"/ledger?{wrong}")).status_code == 422
    async with kept.browser("paula") as browser:
        assert 'href="/ledger"' not in (await browser.get("/queue")).text
        assert (await browser.get("/ledger")).status_code == 403
        assert (await browser.get("/ledger/export?format=csv")).status_code == 403


async def test_the_page_of_empty_books_says_so(desk: Desk) -> None:
    async with desk.browser("fiona") as browser:
        assert "No entries yet." in (await browser.get("/ledger")).text


async def test_a_page_of_accounts_leads_to_the_next(kept: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("referral_rewards.api.desk.money.ledger._ON_A_PAGE", 2)
    async with kept.browser("fiona") as browser:
        first = (await browser.get("/ledger")).text
        address = first.split('data-key="n" href="')[1].split('"')[0].replace("&amp;", "&")
        following = (await browser.get(address)).text
    accounts = '<th scope="row" data-label="Account">'
    assert [first.count(accounts), following.count(accounts)] == [2, 1]
    assert "payable:dexter" in following
