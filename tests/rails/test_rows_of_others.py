"""A provider's list holds other people's objects, made by hand, with any field missing: none of them ends a list."""

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from referral_rewards.domain.books.reconciliation import Listed, ListedPage, ListedState
from referral_rewards.domain.payouts.states import Paid
from referral_rewards.local.sandbox.provider import encoded
from referral_rewards.local.sandbox.stripe import CODE, ENTRY, KEY, TRANSFER, Stripe
from referral_rewards.local.sandbox.tremendous import Tremendous as TremendousSandbox
from referral_rewards.loopback import Message, Receive, Send, reply, served
from referral_rewards.rails import asking, stripe_calls
from referral_rewards.rails.access import StripeAccess, TremendousAccess
from referral_rewards.rails.port import Rail
from referral_rewards.rails.stripe_balance import StripeBalance
from referral_rewards.rails.stripe_promotion import StripePromotion
from referral_rewards.rails.stripe_transfer import StripeTransfer
from referral_rewards.rails.tremendous import Tremendous
from tests.rails.cases import OUTSIDE, key

BEGINNING: Final = datetime(2026, 7, 1, tzinfo=UTC)
STRIPES: Final = {
    "stripe_transfer": (StripeTransfer, TRANSFER),
    "stripe_balance": (StripeBalance, ENTRY),
    "stripe_promotion": (StripePromotion, CODE),
}
LISTING: Final = [*STRIPES, "tremendous"]


async def row_of_ours(name: str) -> dict[str, Any]:
    """A payment of ours as its provider lists it."""
    async with OUTSIDE[name]() as case:
        asked = case.request()
        assert isinstance(await case.rail.pay(asked, key(asked)), Paid)
        provider = case.provider
        if isinstance(provider, TremendousSandbox):
            return copy.deepcopy(provider.orders[key(asked)])
        assert isinstance(provider, Stripe)
        (row,) = copy.deepcopy(provider.of(STRIPES[name][1]))
        if name == "stripe_promotion":
            row["promotion"]["coupon"] = copy.deepcopy(provider.objects[row["promotion"]["coupon"]])
        return row


@asynccontextmanager
async def listing(name: str) -> AsyncIterator[Callable[[list[Any]], Awaitable[list[Listed]]]]:
    """Yields what tells how the rail reads a list of these rows."""
    shown: list[Any] = []

    async def provider(scope: Message, receive: Receive, send: Send) -> None:
        page = {"object": "list", "url": scope["path"], "has_more": False, "data": shown, "orders": shown}
        return await reply(send, 200, encoded(page))

    async with served(provider) as url, asking.client() as client:
        rail: Rail
        if name in STRIPES:
            rail = STRIPES[name][0](stripe_calls.api(StripeAccess(KEY, url), client))
        else:
            rail = Tremendous(TremendousAccess("a key", "SOURCE1", "CAMPAIGN1", url), client)

        async def read(rows: list[Any]) -> list[Listed]:
            shown[:] = rows
            found = await rail.listed(BEGINNING, BEGINNING + timedelta(days=1), "cus_brie", None)
            assert isinstance(found, ListedPage), found
            return list(found.payments)

        yield read


async def listed(name: str, rows: list[Any]) -> list[Listed]:
    async with listing(name) as read:
        return await read(rows)


def of_others(row: dict[str, Any]) -> dict[str, Any]:
    """The same object, made by somebody else: it bears no name of ours."""
    other = {**copy.deepcopy(row), "id": "made_by_hand", "metadata": {}}
    for name in ("external_id", "transfer_group"):
        if name in other:
            other[name] = None
    if "promotion" in other:
        other["promotion"]["coupon"]["id"] = "SUMMER"
    return other


def spoiled(row: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The row without each of its fields, at any depth, and with each of them null."""
    within: Any = row
    for step in at:
        within = within[int(step) if isinstance(within, list) else step]
    names = within if isinstance(within, Mapping) else map(str, range(len(within))) if isinstance(within, list) else ()
    for name in names:
        for change in ("missing", "null"):
            other: Any = copy.deepcopy(row)
            inner: Any = other
            for step in at:
                inner = inner[int(step) if isinstance(inner, list) else step]
            where: Any = int(name) if isinstance(inner, list) else name
            if change == "missing":
                del inner[where]
            else:
                inner[where] = None
            yield (*at, name, change), other
        yield from spoiled(row, (*at, name))


@pytest.mark.parametrize("name", LISTING)
async def test_no_row_of_others_ends_a_list_whatever_it_lacks(name: str) -> None:
    row = await row_of_ours(name)
    (ours,) = await listed(name, [row])
    assert ours.payout is not None
    strangers = [other for _, other in spoiled(of_others(row))]
    assert len(strangers) > 15
    # All at once, before and behind ours.
    found = await listed(name, [*strangers, row, *strangers])
    assert [each for each in found if each.payout is not None] == [ours]


@pytest.mark.parametrize("name", LISTING)
async def test_a_row_of_ours_that_cannot_be_read_is_the_trouble_of_its_payout_alone(name: str) -> None:
    row = await row_of_ours(name)
    async with listing(name) as read:
        (ours,) = await read([row])
        for where, broken in spoiled(row):
            found = await read([broken])
            if not found or found[0].payout is None:
                # It has lost our name, or what makes it a payment.
                assert {"metadata", "external_id", "transfer_group", "payout", "type", "promotion"} & set(where), where
                continue
            (shown,) = found
            assert shown.payout == ours.payout
            # Whatever is lost of what is compared makes it differ from ours.
            assert shown.amount_minor in (None, ours.amount_minor), where
            same = (shown.currency, shown.destination) == (ours.currency, ours.destination)
            assert same or shown.amount_minor is None or shown.destination != ours.destination, where


async def test_an_order_of_which_only_the_sure_parts_are_told_is_listed() -> None:
    row = await row_of_ours("tremendous")
    sure = {name: row[name] for name in ("id", "created_at")} | {"status": "CART"}
    (found,) = await listed("tremendous", [sure])
    assert (found.reference, found.payout, found.amount_minor) == (row["id"], None, None)
    assert found.state is ListedState.UNDER_WAY


async def test_a_code_whose_coupon_is_gone_is_ours_by_our_note() -> None:
    row = await row_of_ours("stripe_promotion")
    row["promotion"]["coupon"] = None
    (found,) = await listed("stripe_promotion", [row])
    assert found.payout is not None
    assert found.amount_minor is None


@pytest.mark.parametrize("metadata", [None, {}, {"key": None}, {"key": 5}])
async def test_an_entry_of_others_keeps_nobody_from_finding_ours(metadata: Any) -> None:
    async with OUTSIDE["stripe_balance"]() as case:
        assert isinstance(case.provider, Stripe)
        asked = case.request()
        paid = await case.rail.pay(asked, key(asked))
        case.provider._entry("cus_brie", {"amount": "-700", "currency": "usd"})["metadata"] = metadata
        assert await case.rail.look_up(asked, key(asked)) == paid
        # As it was, so that what is held against Stripe's types in the end is of their form.
        case.provider.answered.clear()
