"""What a vendor's answer means to whoever asks, how long to wait, and that a key goes nowhere else."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from referral_rewards.loopback import App, served
from referral_rewards.operation.outgoing import Reception
from referral_rewards.vendor_apis.asking import Asking
from referral_rewards.vendor_apis.connected import connected
from referral_rewards.vendor_apis.port import NotTold, Trouble, VendorApi
from referral_rewards.vendors.access import ApiAccess
from referral_rewards.vendors.cursor import Cursor, after_page, first, from_its_beginning, kept_since
from referral_rewards.vendors.stripe import TYPES
from tests.pulls.pulling import source
from tests.pulls.vendors_faked import KEY, Stripe
from tests.sources.told import Misbehaving, dripping, silent
from tests.vendors import stripe_life
from tests.vendors.reading import mapping

SINCE = datetime(2026, 7, 1, tzinfo=UTC)
NOW = datetime(2026, 8, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
_DATE = "Sat, 01 Aug 2026 12:00:00 GMT"


@asynccontextmanager
async def _asked(app: App, vendor: str = "stripe", patience: float = 30.0) -> AsyncIterator[VendorApi]:
    shop = frozenset({"acme.myshopify.com"}) if vendor == "shopify" else frozenset[str]()
    async with served(app, is_dated=False) as url:
        its = source(vendor, mapping(accounts=shop), url)
        async with connected({"shop": its}, patience_seconds=patience) as apis:
            yield apis["shop"]


@pytest.mark.parametrize(
    ("status", "headers", "trouble", "seconds"),
    [
        (429, {"retry-after": "7"}, Trouble.LIMITED, 7),
        (429, {"retry-after": "2.0"}, Trouble.LIMITED, 2),
        (429, {"retry-after": "0"}, Trouble.LIMITED, 1),
        (429, {"retry-after": "-5"}, Trouble.LIMITED, 1),
        (429, {"retry-after": "999999"}, Trouble.LIMITED, 3600),
        (429, {"retry-after": "Sat, 01 Aug 2026 12:00:30 GMT", "date": _DATE}, Trouble.LIMITED, 30),
        (429, {"retry-after": "soon"}, Trouble.LIMITED, 10),
        (429, {"retry-after": "nan"}, Trouble.LIMITED, 10),
        (429, {"retry-after": "Sat, 01 Aug 2026 12:00:30 +99999999999999"}, Trouble.LIMITED, 10),
        (429, {}, Trouble.LIMITED, 10),
        (503, {"retry-after": "60"}, Trouble.SILENT, 60),
        (500, {}, Trouble.SILENT, None),
        (401, {}, Trouble.DENIED, None),
        (403, {}, Trouble.DENIED, None),
        (400, {}, Trouble.REFUSED, None),
        (404, {}, Trouble.REFUSED, None),
        (302, {"location": "https://elsewhere.example.com"}, Trouble.BROKEN, None),
    ],
)
async def test_a_status_says_whether_and_when_to_ask_again(
    status: int, headers: dict[str, str], trouble: Trouble, seconds: int | None
) -> None:
    server = Misbehaving((status, b'{"error": {"message": "of brie@example.com"}}', headers))
    async with _asked(server) as api:
        with pytest.raises(NotTold) as refused:
            await api.page(SINCE, None)
    after = None if seconds is None else timedelta(seconds=seconds)
    assert (refused.value.trouble, refused.value.after) == (trouble, after)
    assert "brie" not in str(refused.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("vendor", ["stripe", "shopify", "hubspot"])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"7", b"{}", b"\xff", b"[" * 100_000),
        b'{"data": 1, "orders": 1, "results": 1}',
        b'{"data": [1], "orders": [1], "results": [1]}',
        b'{"data": [{"id": "evt_1"}], "orders": 1, "results": 1}',
        b'{"data": [], "has_more": true, "orders": 1, "results": 1}',
        b'{"data": [{}], "has_more": true, "orders": [{}], "results": [{}]}',
    ],
)
async def test_an_answer_of_another_form_is_broken_and_no_page(vendor: str, body: bytes) -> None:
    async with _asked(Misbehaving((200, body)), vendor) as api:
        with pytest.raises(NotTold) as refused:
            await api.page(SINCE, None)
    assert refused.value.trouble is Trouble.BROKEN


@pytest.mark.parametrize(("paging", "following"), [({}, "deleted"), ({"next": {"after": "1"}}, "from")])
async def test_a_short_page_is_the_last_only_if_no_other_is_named(paging: dict[str, Any], following: str) -> None:
    deal = {"id": "7001", "properties": {"hs_lastmodifieddate": "2026-07-02T00:00:00Z"}}
    page = json.dumps({"results": [deal], "paging": paging}).encode()
    async with _asked(Misbehaving((200, page), (200, b'{"results": []}')), "hubspot") as api:
        found = await api.page(SINCE, None)
    assert list(json.loads(found.next or "{}")) == [following]


@pytest.mark.parametrize("app", [silent, dripping])
async def test_a_server_that_is_never_done_is_silent(app: App) -> None:
    async with _asked(app, patience=0.3) as api:
        with pytest.raises(NotTold) as refused:
            await api.page(SINCE, None)
    assert refused.value.trouble is Trouble.SILENT


async def test_a_server_that_is_not_there_is_silent_and_noted() -> None:
    noted: list[tuple[str, Reception]] = []
    its = source("stripe", mapping(), "http://127.0.0.1:9")
    async with connected({"shop": its}, lambda to: lambda act, became, seconds: noted.append((to, became))) as apis:
        with pytest.raises(NotTold, match="no whole answer came"):
            await apis["shop"].page(SINCE, None)
    assert noted == [("shop", Reception.SILENT)]


async def test_a_source_without_a_key_is_not_asked() -> None:
    keyless = ApiAccess("http://127.0.0.1:9")
    its = source("stripe", mapping())
    async with connected({"shop": type(its)(its.name, its.vendor, its.mapping, its.rights, (), keyless)}) as apis:
        assert apis == {}
    assert KEY not in repr(its)


async def test_one_object_is_asked_for_and_a_missing_one_is_none() -> None:
    server = Misbehaving((200, b'{"id": "ch_1", "amount": 1, "rate": 0.1}'), (404, b"{}"))
    async with _asked(server) as api:
        assert await api.get("charges/ch_1", {"expand[]": "refunds"}) == {"id": "ch_1", "amount": 1, "rate": "0.1"}
        assert await api.get("charges/ch_2") is None
    (path, headers), _ = server.requests
    assert (path, headers["authorization"]) == ("/v1/charges/ch_1", f"Bearer {KEY}")


async def test_no_more_requests_are_sent_in_a_second_than_the_vendor_allows() -> None:
    async with served(Misbehaving((200, b"{}"))) as url:
        asking = Asking(ApiAccess(url, SecretStr(KEY)), {}, per_second=20)
        await asking.ask("GET", "a")
        # The pace is kept by the loop's own clock, which a busy machine only makes slower.
        before = asking._next
        await asking.ask("GET", "b")
        assert asking._next >= before + asking._pause
        await asking.close()


async def test_each_connected_account_is_asked_and_its_events_name_it() -> None:
    events = [{**each, "of": of} for each, of in zip(stripe_life.LIFE, ("acct_1", "acct_2") * 5, strict=True)]
    async with served(Stripe(events=events)) as url:
        its = source("stripe", mapping(accounts=frozenset({"acct_1", "acct_2"})), url)
        async with connected({"shop": its}) as apis:
            place, read = None, []
            while True:
                page = await apis["shop"].page(datetime(2026, 6, 1, tzinfo=UTC), place)
                read += [its.read(each) for each in page.events]
                if (place := page.next) is None:
                    break
    assert len(read) == 10
    assert {each.ignored for each in read} == {None}


@pytest.mark.parametrize(
    ("cursor", "following", "vendors_clock", "comes_to"),
    [
        (Cursor(SINCE), "p2", NOW, Cursor(SINCE, NOW, "p2")),
        (Cursor(SINCE), "p2", NOW - HOUR, Cursor(SINCE, NOW - HOUR, "p2")),
        (Cursor(SINCE), "p2", NOW + HOUR, Cursor(SINCE, NOW, "p2")),
        (Cursor(SINCE), "p2", None, Cursor(SINCE, NOW, "p2")),
        # What happens while pages are read is in the next window: the first page counts.
        (Cursor(SINCE, NOW - 5 * HOUR, "p2"), "p3", NOW, Cursor(SINCE, NOW - 5 * HOUR, "p3")),
        (Cursor(SINCE, NOW - 5 * HOUR, "p3"), None, NOW, Cursor(NOW - 6 * HOUR)),
        (Cursor(SINCE), None, NOW, Cursor(NOW - HOUR)),
        # Never back, however wrong a clock is.
        (Cursor(SINCE), None, SINCE - 9 * HOUR, Cursor(SINCE)),
        (Cursor(NOW - HOUR / 2), None, NOW, Cursor(NOW - HOUR / 2)),
    ],
)
def test_the_next_window_begins_the_overlap_before_this_one_was_opened(
    cursor: Cursor, following: str | None, vendors_clock: datetime | None, comes_to: Cursor
) -> None:
    assert after_page(cursor, following, vendors_clock, NOW, HOUR) == comes_to


def test_a_first_window_begins_lately_and_a_broken_one_again() -> None:
    assert first(NOW, HOUR) == Cursor(NOW - HOUR)
    assert from_its_beginning(Cursor(SINCE, NOW, "p2")) == Cursor(SINCE)
    assert len(TYPES) <= 20  # Stripe takes no more types in one question
    assert (kept_since("stripe", NOW), kept_since("shopify", NOW)) == (NOW - timedelta(days=30), None)
