"""What webhooks lose, a pull makes up: it ends in the state that would be there if nothing had been lost."""

import asyncio
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.desk import Desk, days_ago, life_of
from tests.pulls.pulling import PULL, pulling
from tests.pulls.vendors_faked import Asked, Shopify, Stripe
from tests.vendors import shopify_samples, stripe_life
from tests.vendors.reading import mapping

#: Of each vendor a time before and after everything that happens here.
STRIPE_SINCE, STRIPE_NOW = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 10, tzinfo=UTC)
SINCE = datetime(2026, 7, 1, tzinfo=UTC)
#: A life in another order than it was lived.
_SHUFFLED = (7, 3, 9, 0, 8, 1, 6, 2, 5, 4)
STRIPE = replace(stripe_life.MAPPING, source="acme/shop")
SHOPIFY = mapping(source="acme/shop", accounts=frozenset({shopify_samples.SHOP}), program="acme-friends")


def _stripe(*events: Mapping[str, Any]) -> Stripe:
    return Stripe(events=[dict(each) for each in events], now=STRIPE_NOW)


def _named(name: str, its: Any) -> Any:
    return replace(its, source=f"acme/{name}")


async def test_stripe_ends_in_one_state_whichever_webhooks_are_lost(desk: Desk) -> None:
    found = []
    for name, heard in (("all", range(10)), ("some", (0, 4, 8)), ("none", ())):
        async with pulling(desk, _stripe(*stripe_life.LIFE), "stripe", _named(name, STRIPE), name) as shop:
            shop.now = STRIPE_NOW
            for place in (each for each in _SHUFFLED if each in heard):
                await shop.hear(stripe_life.told(stripe_life.LIFE[place]))
            if name != "all":
                await shop.since(STRIPE_SINCE)
                assert len(await shop.pull()) == 5
                state = await shop.state()
                assert (state.events_new, state.events_known) == (10 - len(heard), len(heard))
                assert (state.under_way, state.problem, state.succeeded_at) == (False, None, STRIPE_NOW)
                before = await shop.facts()
                await shop.since(STRIPE_SINCE)
                await shop.pull()
                assert await shop.facts() == before
                # Its own clock moved on less than the overlap behind ours.
                assert (await shop.state()).since == STRIPE_NOW - PULL.overlap
            else:
                await shop.hear(stripe_life.told(stripe_life.LIFE[0]))
                await shop.pull()
            found.append((await shop.facts(), await shop.outcomes()))
    assert len(found[0][0]) == 11
    assert set(found[0][1].values()) == {"read"}
    assert found[1] == found[0] == found[2]


#: The life of an order at Shopify by its webhooks, and the order as it is in the end.
_PAID = shopify_samples.order()
_BACK = shopify_samples.refund()
_LIVES: Mapping[str, tuple[list[tuple[str, dict[str, Any]]], dict[str, Any]]] = {
    "refunded": (
        [
            ("orders/paid", _PAID),
            ("refunds/create", _BACK),
            ("orders/updated", shopify_samples.order(updated_at=shopify_samples.CHANGED, refunds=[_BACK])),
        ],
        shopify_samples.order(
            updated_at=shopify_samples.CHANGED, financial_status="partially_refunded", refunds=[_BACK]
        ),
    ),
    "cancelled": (
        [
            ("orders/paid", _PAID),
            ("orders/cancelled", shopify_samples.SAMPLES["orders/cancelled"] | {}),
        ],
        dict(shopify_samples.SAMPLES["orders/cancelled"]),
    ),
}


@pytest.mark.parametrize("life", list(_LIVES))
async def test_shopify_ends_in_one_state_whether_webhooks_or_a_pull_told_it(life: str, desk: Desk) -> None:
    webhooks, order = _LIVES[life]
    found = []
    for name in ("heard", "pulled", "both"):
        async with pulling(desk, Shopify(orders=[order]), "shopify", _named(name, SHOPIFY), name) as shop:
            for topic, body in webhooks if name != "pulled" else ():
                await shop.hear(shopify_samples.told(topic, body))
            await shop.since(SINCE)
            if name != "heard":
                await shop.pull()
                await shop.since(SINCE)
                await shop.pull()
            found.append(await shop.facts())
    assert found[1] == found[0] == found[2]
    assert len(found[0]) >= 3


async def test_an_edited_order_is_told_with_its_new_amount_and_not_as_a_second_purchase(desk: Desk) -> None:
    edited = shopify_samples.order(
        updated_at=shopify_samples.CHANGED, subtotal_price_set=shopify_samples.money("60.00")
    )
    async with pulling(desk, Shopify(orders=[edited]), "shopify", SHOPIFY) as shop:
        await shop.hear(shopify_samples.told("orders/paid", _PAID))
        await shop.since(SINCE)
        await shop.pull()
        rows = await shop.ask("SELECT type, data->>'amount' AS amount FROM fact WHERE source = 'acme/shop' ORDER BY 1")
    assert [tuple(row) for row in rows] == [("conversion.amended", "60.00"), ("conversion.recorded", "80.00")]


def _orders(*ids: int) -> list[dict[str, Any]]:
    return [shopify_samples.order(id=its, name=f"#{its}") for its in ids]


async def test_an_order_that_changes_while_somebody_pages_is_told_as_it_was_and_as_it_is(desk: Desk) -> None:
    shopify = Shopify(orders=_orders(1, 2, 3, 4, 5))

    def change(asked: Asked) -> None:
        if len(shopify.asked) == 2:
            for its in (1, 5):  # one on a page to come, one on a page that was read; and one is gone
                next(each for each in shopify.orders if each["id"] == its)["updated_at"] = "2026-07-30T10:00:00Z"
            shopify.orders = [each for each in shopify.orders if each["id"] != 2]

    shopify.before_page = change
    async with pulling(desk, shopify, "shopify", SHOPIFY) as shop:
        shop.now = datetime(2026, 7, 30, 9, 59, tzinfo=UTC)
        await shop.since(SINCE)
        await shop.pull()
        assert {name.split("/")[2] for name in await shop.outcomes()} == {"1", "3", "4", "5"}
        shop.now += timedelta(minutes=10)
        await shop.pull()
        assert [name for name in await shop.outcomes() if name.endswith("30T10:00:00Z")] == [
            "orders/pulled/1/2026-07-30T10:00:00Z",
            "orders/pulled/5/2026-07-30T10:00:00Z",
        ]


async def test_a_place_that_the_vendor_forgot_begins_the_window_again(desk: Desk) -> None:
    shopify = Shopify(orders=_orders(1, 2, 3))
    async with pulling(desk, shopify, "shopify", SHOPIFY) as shop:
        await shop.since(SINCE)
        await shop.page()
        shopify.places.clear()
        progress = await shop.page()
        assert (progress.more, progress.again_after) == (True, timedelta(seconds=2))
        assert (await shop.state()).problem == "it answered 400"
        await shop.pull()
        assert len(await shop.outcomes()) == 3
        assert (await shop.state()).problem is None


async def test_what_dies_between_a_page_and_its_cursor_keeps_neither_and_is_run_again(desk: Desk) -> None:
    async with pulling(desk, _stripe(*stripe_life.LIFE), "stripe", STRIPE) as shop:
        shop.now = STRIPE_NOW
        await shop.since(STRIPE_SINCE)
        await shop.page()
        before = await shop.outcomes()
        await shop.ask("ALTER TABLE source_cursor ADD CONSTRAINT dies CHECK (events_new < 4)")
        with pytest.raises(IntegrityError):
            await shop.page()
        assert await shop.outcomes() == before
        await shop.ask("ALTER TABLE source_cursor DROP CONSTRAINT dies")
        await shop.pull()
        assert len(await shop.outcomes()) == 10
        assert (await shop.state()).events_known == 0


async def test_two_pulls_at_once_keep_each_event_once_and_come_to_an_end(desk: Desk) -> None:
    async with pulling(desk, _stripe(*stripe_life.LIFE), "stripe", STRIPE) as shop:
        shop.now = STRIPE_NOW
        await shop.since(STRIPE_SINCE)
        await asyncio.gather(shop.pull(), shop.pull())
        state = await shop.state()
        assert (len(await shop.outcomes()), state.events_new, len(await shop.facts())) == (10, 10, 11)


@pytest.mark.parametrize("hours", [-3, 3], ids=["behind", "ahead"])
async def test_the_earlier_of_two_clocks_says_where_the_next_pull_begins(hours: int, desk: Desk) -> None:
    stripe = _stripe(stripe_life.LIFE[0])
    stripe.now += timedelta(hours=hours)
    async with pulling(desk, stripe, "stripe", STRIPE) as shop:
        shop.now = STRIPE_NOW
        await shop.since(STRIPE_SINCE)
        await shop.pull()
        assert (await shop.state()).since == min(STRIPE_NOW, stripe.now) - PULL.overlap
        # What the vendor dates now, by its own clock, is in the next window.
        late = {**stripe_life.LIFE[2], "created": int(min(STRIPE_NOW, stripe.now).timestamp())}
        stripe.events.append(late)
        await shop.pull()
        assert len(await shop.outcomes()) == 2


async def test_a_source_that_is_pulled_the_first_time_tells_what_happened_lately(desk: Desk) -> None:
    lately = {**stripe_life.LIFE[0], "created": int((STRIPE_NOW - PULL.overlap).timestamp())}
    async with pulling(desk, _stripe(lately, stripe_life.LIFE[7]), "stripe", STRIPE) as shop:
        shop.now = STRIPE_NOW
        await shop.pull()
        assert set(await shop.outcomes()) == {"evt_1"}


async def test_what_stripe_forgot_meanwhile_is_said_until_a_person_asks_anew(desk: Desk) -> None:
    async with pulling(desk, _stripe(*stripe_life.LIFE), "stripe", STRIPE) as shop:
        shop.now = STRIPE_SINCE + timedelta(days=40)
        await shop.since(STRIPE_SINCE)
        await shop.pull()
        state = await shop.state()
        assert (state.forgotten_since, state.forgotten_until) == (STRIPE_SINCE, STRIPE_SINCE + timedelta(days=10))
        await shop.since(shop.now)
        assert (await shop.state()).forgotten_since is None


async def test_a_vendor_with_bad_days_is_asked_again_when_it_says_and_nothing_is_lost(desk: Desk) -> None:
    stripe = _stripe(*stripe_life.LIFE)
    stripe.bad_days = [
        (429, b"{}", {"retry-after": "7"}),
        (503, b"", {}),
        (200, b'{"data": [', {}),
        (200, b'{"data": {}}', {}),
    ]
    async with pulling(desk, stripe, "stripe", STRIPE) as shop:
        shop.now = STRIPE_NOW
        await shop.since(STRIPE_SINCE)
        pauses = [each.again_after for each in await shop.pull()]
        assert pauses[:5] == [timedelta(seconds=each) for each in (7, 4, 8, 16)] + [None]
        assert len(await shop.outcomes()) == 10
        stripe.bad_days = [(500, b"", {})] * 5
        assert [each.more for each in await shop.pull()] == [True, True, True, True, False]
        assert (await shop.state()).problem == "it answered 500"


async def test_a_key_that_is_refused_ends_the_pull_and_the_next_one_with_a_better_key_goes_on(desk: Desk) -> None:
    stripe = _stripe(*stripe_life.LIFE)
    stripe.key = ("authorization", "Bearer another ")
    async with pulling(desk, stripe, "stripe", STRIPE) as shop:
        shop.now = STRIPE_NOW
        await shop.since(STRIPE_SINCE)
        (only,) = await shop.pull()
        assert not only.more
        assert (await shop.state()).problem == "it answered 401: the key of its api is wrong, or may not read this"
        stripe.key = ("authorization", "Bearer ")
        await shop.pull()
        assert ((await shop.state()).problem, len(await shop.outcomes())) == (None, 10)


async def test_a_source_that_is_pulled_no_more_is_at_its_end(desk: Desk) -> None:
    async with pulling(desk, _stripe(), "stripe", STRIPE) as shop:
        shop.source = replace(shop.source, pull=None)
        (only,) = await shop.pull()
        assert (only.more, await shop.ask("SELECT 1 FROM source_cursor")) == (False, [])


async def test_a_referral_comes_to_the_same_verdict_though_the_webhook_of_its_refund_was_lost(desk: Desk) -> None:
    """Of two referrals alike one hears of the refund by a webhook, the other by a pull."""
    found = {}
    for number, name in enumerate(("heard", "pulled")):
        bought, back = _bought(5123 + number, name), days_ago(38).isoformat()
        refund = shopify_samples.refund("80.00", number, order_id=bought["id"], created_at=back, processed_at=back)
        returned = {**bought, "updated_at": back, "financial_status": "refunded", "refunds": [refund]}
        async with pulling(desk, Shopify(orders=[returned]), "shopify", _named(name, SHOPIFY), name) as shop:
            shop.now = days_ago(0)
            await desk.tell(life_of(name)[:2])
            await shop.hear(shopify_samples.told("orders/paid", bought))
            before = await desk.judge(name)
            if name == "heard":
                await shop.hear(shopify_samples.told("refunds/create", refund))
            else:
                await shop.since(days_ago(60))
                await shop.pull()
            after = await desk.judge(name)
            (row,) = await shop.ask("SELECT status, reason, net_minor, claim_id FROM referral WHERE id = :id", id=name)
            found[name] = (before, after, row.reason, row.net_minor)
    assert found["heard"] == found["pulled"]
    assert found["pulled"][:2] == (ReferralStatus.IN_RETURN_PERIOD, ReferralStatus.CLAIMED)


def _bought(number: int, name: str) -> dict[str, Any]:
    at, who = days_ago(40).isoformat(), {"email": f"{name}@example.com"}
    its = shopify_samples.order(id=number, created_at=at, processed_at=at, updated_at=at, customer=who, **who)
    return {**its, "billing_address": None, "landing_site": None, "note_attributes": []}


@dataclass
class Endless(Stripe):
    """A Stripe that always has another page of a hundred events."""

    def answer(self, asked: Asked) -> tuple[int, Any, dict[str, str]]:
        self.asked.clear()
        number = int(asked.query.get("starting_after", ["evt_0"])[0].removeprefix("evt_"))
        page = [
            stripe_life.event(f"evt_{its}", "refund.created", stripe_life.refund(id=f"re_{its}"), stripe_life.BEGIN)
            for its in range(number + 1, number + 101)
        ]
        return 200, {"object": "list", "data": page, "has_more": True}, {}


@pytest.mark.chaos
async def test_a_pull_of_many_pages_needs_no_more_memory_than_one_of_few(desk: Desk) -> None:
    async with pulling(desk, Endless(now=STRIPE_NOW), "stripe", STRIPE) as shop:
        shop.now = STRIPE_NOW
        await shop.since(STRIPE_SINCE)
        for _ in range(3):
            await shop.page()
        peaks = []
        tracemalloc.start()
        for _ in range(2):
            tracemalloc.reset_peak()
            for _ in range(12):
                await shop.page()
            peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (await shop.state()).events_new == 2700
    assert peaks[1] < peaks[0] * 1.25
