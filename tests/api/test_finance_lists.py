"""Finance's lists by API and on the desk: days, order, what all of it comes to, and the file of all that match."""

import csv
import io
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.domain.payouts.states import payout_id
from referral_rewards.reporting.lists.reading import TOTALLED_MAX, totals_of
from tests import money
from tests.desk import Desk, days_ago

#: Each list: where it stands in the API and on the desk, and what the API calls its rows and their ids.
LISTS = {
    "payouts": ("/v1/payouts", "/payouts", "payouts", "payout"),
    "clawbacks": ("/v1/clawbacks", "/clawbacks", "cases", "case"),
    "cycles": ("/v1/cycles", "/cycles", "cycles", "cycle"),
    "referrals": ("/v1/referrals", "/referrals", "referrals", "referral"),
    "payees": ("/v1/payees", "/payees", "payees", "payee"),
    "queue": ("/v1/claims", "/queue", "claims", "subject"),
}
WHOLE = list(LISTS.values())


@pytest.fixture
async def kept(desk: Desk) -> Desk:
    """A desk with two referrals that were paid and one that waits, a case and a cycle."""
    for name in ("r1", "r2"):
        await desk.referral(name)
        await desk.decide(name, "approve")
        assert await desk.judge(name) == "approved"
    await money.stand(desk, "r1")
    await desk.referral("r3")
    return desk


async def rows(desk: Desk, path: str, name: str, **asked: Any) -> list[dict[str, Any]]:
    """All rows of a list, a page of one row at a time."""
    found, after = [], ""
    while after is not None:
        said = httpx.QueryParams({**asked, "limit": "1", **({"after": after} if after else {})})
        page = await desk.get(f"{path}?{said}", as_="fiona")
        assert page.status_code == 200, page.text
        found += page.json()[name]
        after = page.json()["next"]
    return found


def sheet(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8", answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_every_list_has_the_same_rows_in_pages_in_its_file_and_on_the_desk(kept: Desk) -> None:
    async with kept.browser("fiona") as fiona:
        for path, page, name, _ in WHOLE:
            found = await rows(kept, path, name)
            assert found, path
            count = (await kept.get(f"{path}?totals=true", as_="fiona")).json()["totals"]["count"]
            assert count == {"count": len(found), "at_least": False}, path
            assert len(sheet(await kept.get(f"{path}?format=csv", as_="fiona"))) == len(found), path
            assert len(sheet(await fiona.get(f"{page}?format=csv"))) == len(found), page
            shown = unescape((await fiona.get(page)).text)
            assert "All that match, not only this page" in shown, page
            assert f'href="{page}?format=csv"' in shown, page


@pytest.mark.parametrize(("path", "page", "name", "_"), WHOLE, ids=LISTS)
async def test_days_leave_what_is_dated_in_them(kept: Desk, path: str, page: str, name: str, _: str) -> None:
    async with kept.database.transaction() as connection:
        await connection.execute(text("UPDATE payout_cycle SET due_on = current_date"))
    today = datetime.now(UTC).date()
    for since, until, some in (("2020-01-01", None, True), (None, "2020-01-01", False), ("2030-01-01", None, False)):
        asked = {key: value for key, value in (("from", since), ("to", until)) if value}
        assert bool(await rows(kept, path, name, **asked)) is some, asked
        answer = await kept.get(f"{path}?{httpx.QueryParams({**asked, 'format': 'csv'})}", as_="fiona")
        assert bool(sheet(answer)) is some, asked
    for wrong in ("from=soon", "from=2026-07-02&to=2026-07-02", f"to={today}T00:00:00Z"):
        assert (await kept.get(f"{path}?{wrong}", as_="fiona")).status_code == 422, wrong


async def test_a_day_is_the_one_of_the_program_that_is_named_else_of_utc(kept: Desk) -> None:
    # Nine in the evening in Toronto is the next day in UTC.
    evening = datetime(2026, 7, 2, 1, tzinfo=UTC)
    async with kept.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET created_at = :at"), {"at": evening})
    for day, utc, toronto in (("2026-07-01", 0, 4), ("2026-07-02", 4, 0)):
        after = (datetime.fromisoformat(day) + timedelta(days=1)).date()
        asked = {"from": day, "to": str(after)}
        assert len(await rows(kept, "/v1/payouts", "payouts", **asked)) == utc
        assert len(await rows(kept, "/v1/payouts", "payouts", program="acme-friends", **asked)) == toronto
    async with kept.browser("fiona") as fiona:
        assert "Days are in UTC, unless a program is named." in (await fiona.get("/payouts")).text
        named = (await fiona.get("/payouts?program=acme-friends&from=2026-07-01&to=2026-07-02")).text
        assert "Days are by the program’s calendar, America/Toronto." in named
        assert "1–4 of 4" in named


async def test_amounts_are_sorted_within_their_currency_and_never_added_up_across(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        for referral, role, minor, currency in (
            *(("r1", "referrer", 900, "USD"), ("r1", "referee", 5, "USD")),
            *(("r2", "referrer", 7, "EUR"), ("r2", "referee", 3000, "EUR")),
        ):
            await connection.execute(
                text("UPDATE payout SET amount_minor = :minor, currency = :currency WHERE id = :id"),
                {"id": payout_id(referral, role), "minor": minor, "currency": currency},
            )
    found = await rows(kept, "/v1/payouts", "payouts", sort="amount_high")
    assert [(each["currency"], each["amount_minor"]) for each in found] == [
        *(("USD", 900), ("USD", 5)),
        *(("EUR", 3000), ("EUR", 7)),
    ]
    assert await rows(kept, "/v1/payouts", "payouts", sort="amount_low") == found[::-1]
    totals = (await kept.get("/v1/payouts?totals=true&limit=1", as_="fiona")).json()["totals"]
    assert totals["by_currency"] == [
        {"currency": "EUR", "rows": 2, "sums_minor": {"amount": 3007}},
        {"currency": "USD", "rows": 2, "sums_minor": {"amount": 905}},
    ]
    refused = (await kept.get("/v1/payouts?totals=true&state=refused", as_="fiona")).json()["totals"]
    assert refused["by_currency"] == [{"currency": "USD", "rows": 1, "sums_minor": {"amount": 5}}]
    async with kept.browser("fiona") as fiona:
        page = (await fiona.get("/payouts?sort=amount_high")).text
        assert page.index("9.00 USD") < page.index("30.00 EUR") < page.index("30.07 EUR") < page.index("9.05 USD")


@pytest.mark.parametrize(("path", "page", "name", "id_"), WHOLE, ids=LISTS)
async def test_an_order_and_its_reverse_hold_the_same_rows(
    kept: Desk, path: str, page: str, name: str, id_: str
) -> None:
    pairs = {"payees": ("name", "name_down")}.get(name, ("oldest", "newest"))
    up, down = [await rows(kept, path, name, sort=order) for order in pairs]
    assert [each[id_] for each in up] == [each[id_] for each in down][::-1]
    assert (await kept.get(f"{path}?sort=prettiest", as_="fiona")).status_code == 422


async def test_no_text_of_somebody_else_is_a_formula_in_a_file(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET payee = '=cmd', why = '@sum(1)'"))
    for row in sheet(await kept.get("/v1/payouts?format=csv", as_="fiona")):
        assert (row["payee"], row["why"]) == ("'=cmd", "'@sum(1)")


async def test_what_may_not_be_read_is_no_file_either(kept: Desk) -> None:
    for path in ("/v1/payees", "/v1/payees?format=csv", "/v1/payees?totals=true"):
        assert (await kept.get(path, as_="paula")).status_code == 403
    async with kept.browser("paula") as paula:
        assert (await paula.client.get("/payees?format=csv")).status_code == 403


async def test_a_mistake_in_a_form_is_one_line_and_no_traceback(kept: Desk) -> None:
    async with kept.browser("fiona") as fiona:
        for wrong in ("from=soon", "from=2026-07-02&to=2026-07-01", "sort=prettiest", "format=pdf"):
            assert (await fiona.client.get(f"/payouts?{wrong}")).status_code == 422, wrong
        assert (await fiona.client.get("/payouts?after=nothing&from=0001-01-01&to=9999-12-31")).status_code == 200


def test_more_than_is_added_up_has_a_number_and_no_sums() -> None:
    over = totals_of([("EUR", TOTALLED_MAX, {"amount": 1}), (None, 1, {"amount": 0})], TOTALLED_MAX)
    assert (over.count.count, over.count.at_least, over.by_currency) == (TOTALLED_MAX, True, None)
    just = totals_of([("EUR", TOTALLED_MAX - 1, {"amount": 1}), (None, 1, {"amount": 0})], TOTALLED_MAX)
    assert (just.count.at_least, just.by_currency and just.by_currency[0].sums_minor) == (False, {"amount": 1})


async def test_referrals_are_found_by_what_is_typed_in_any_order_and_by_day(kept: Desk) -> None:
    found = await rows(kept, "/v1/referrals", "referrals", q="r", sort="oldest", **{"from": "2020-01-01"})
    assert {each["referral"] for each in found} == {"r1", "r2", "r3"}
    assert await rows(kept, "/v1/referrals", "referrals", q="r", to="2020-01-01") == []
    totals = (await kept.get("/v1/referrals?totals=true&q=r2", as_="fiona")).json()["totals"]
    assert [(each["currency"], each["rows"]) for each in totals["by_currency"]] == [("USD", 1)]


async def test_payees_of_some_days_have_the_amounts_of_these_days(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        await connection.execute(
            text("UPDATE leg SET approved_at = :at WHERE referral_id = 'r2'"), {"at": days_ago(100)}
        )
    since = days_ago(50).date()
    recent = {each["payee"]: each for each in await rows(kept, "/v1/payees", "payees", **{"from": str(since)})}
    assert set(recent) == {"c-r1", "dexter"}
    assert (recent["dexter"]["owed_minor"], recent["dexter"]["paid_minor"]) == ({}, {"USD": 2500})
    totals = (await kept.get(f"/v1/payees?totals=true&from={since}", as_="fiona")).json()["totals"]
    assert totals == {
        "count": {"count": 2, "at_least": False},
        "by_currency": [{"currency": "USD", "rows": 2, "sums_minor": {"held": 0, "owed": 800, "paid": 2500}}],
    }
