"""Liabilities by API and on the desk: at any past date, tied to the ledger, for those who may read the books."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.desk import Desk

PATH = "/v1/reports/liabilities"


@pytest.fixture
async def kept(desk: Desk) -> Desk:
    """A desk whose books hold one approved referral."""
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    return desk


async def test_what_is_owed_is_told_and_tied_to_the_ledger(kept: Desk) -> None:
    told = (await kept.get(PATH, as_="fiona")).json()
    assert [(each["kind"], each["owner"], each["owed_minor"]) for each in told["accounts"]] == [
        ("payable", "c-r1", 800),
        ("payable", "dexter", 2500),
    ]
    assert told["totals"] == [
        {
            "kind": "payable",
            "currency": "USD",
            "owed_minor": 3300,
            "other_programs_minor": 0,
            "ledger_minor": 3300,
            "difference_minor": 0,
        }
    ]
    assert (told["program"], told["next"]) == (None, None)


async def test_it_comes_in_pages_and_of_one_program(kept: Desk) -> None:
    await kept.publish_another()
    first = (await kept.get(f"{PATH}?limit=1", as_="fiona")).json()
    second = (await kept.get(f"{PATH}?limit=1&after={first['next']}", as_="fiona")).json()
    other = (await kept.get(f"{PATH}?program=other", as_="fiona")).json()
    assert [each["owner"] for page in (first, second) for each in page["accounts"]] == ["c-r1", "dexter"]
    assert other["accounts"] == []
    assert [(each["owed_minor"], each["other_programs_minor"]) for each in other["totals"]] == [(0, 3300)]


async def test_a_past_date_is_that_of_its_books(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        at = (await connection.execute(text("SELECT max(posted_at) FROM ledger_transaction"))).scalar_one()
    at = at.astimezone(UTC)
    yesterday = (await kept.get(f"{PATH}?as_of={at.date() - timedelta(days=1)}", as_="fiona")).json()
    just_before = (await kept.get(f"{PATH}?as_of={_said(at)}", as_="fiona")).json()
    just_after = (await kept.get(f"{PATH}?as_of={_said(at + timedelta(microseconds=1))}", as_="fiona")).json()
    assert [len(each["accounts"]) for each in (yesterday, just_before, just_after)] == [0, 0, 2]
    assert yesterday["as_of"] == f"{at.date()}T00:00:00Z"


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def test_the_file_has_a_line_for_each_account(kept: Desk) -> None:
    told = await kept.get(f"{PATH}?format=csv&program=acme-friends", as_="fiona")
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="liabilities-acme-friends-' in told.headers["content-disposition"]
    assert [line.split(",")[2:] for line in told.text.splitlines()] == [
        ["kind", "owner", "currency", "owed", "owed_minor"],
        ["payable", "c-r1", "USD", "8.00", "800"],
        ["payable", "dexter", "USD", "25.00", "2500"],
    ]


@pytest.mark.parametrize(
    ("asked", "where", "says"),
    [
        ("as_of=soon", "as_of", "neither a day"),
        ("as_of=2999-01-01", "as_of", "lies ahead"),
        ("program=acme-friend", "program", "acme-friends"),
        ("format=csv&program=acme-friend", "program", "acme-friends"),
        ("at=2026-01-01", "", "at"),
        ("limit=0", "limit", "1"),
    ],
)
async def test_what_can_not_be_asked_for_is_named(desk: Desk, asked: str, where: str, says: str) -> None:
    refused = await desk.get(f"{PATH}?{asked}", as_="fiona")
    assert refused.status_code == 422
    assert [(each["where"], says in each["what"]) for each in refused.json()["problems"]] == [(where, True)]


async def test_finance_and_administrators_read_it_and_nobody_else(desk: Desk) -> None:
    for user, status in {"fiona": 200, "ada": 200, "paula": 403, "oscar": 403, "site": 403}.items():
        assert (await desk.get(PATH, as_=user)).status_code == status, user


async def test_the_page_shows_totals_and_accounts_as_of_a_day(kept: Desk) -> None:
    async with kept.browser("fiona") as browser:
        shown = await browser.get("/reports/liabilities")
        past = await browser.get("/reports/liabilities?as_of=2020-01-31")
        file = await browser.get("/reports/liabilities/csv?as_of=&program=acme-friends")
        wrong = await browser.get("/reports/liabilities?as_of=2999-01-01")
        ledger = await browser.get("/ledger")
    assert [each in shown.text for each in ("33.00 USD", "25.00 USD", "/payees/dexter", "differs by")] == [
        *(True, True, True),
        False,
    ]
    assert "Nothing was owed then." in past.text
    assert "payable,dexter" in file.text
    assert wrong.status_code == 422
    assert 'href="/reports/liabilities"' in ledger.text
    async with kept.browser("paula") as browser:
        assert (await browser.get("/reports/liabilities")).status_code == 403
