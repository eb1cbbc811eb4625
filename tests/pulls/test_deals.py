"""HubSpot's deals, pulled: fetched with their contact, told once as won, and worth nothing once they are gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from referral_rewards.vendor_apis.asking import Asking
from referral_rewards.vendor_apis.hubspot import HubSpotApi, headers
from tests.desk import Desk
from tests.pulls.pulling import Puller, pulling
from tests.pulls.vendors_faked import KEY, Asked, HubSpot
from tests.vendors import hubspot_samples
from tests.vendors.reading import mapping

SINCE = datetime(2026, 7, 1, tzinfo=UTC)
DEALS = mapping(source="acme/shop", program="acme-friends")


def _deals(*numbers: int, **properties: Any) -> HubSpot:
    """Won deals with a contact each."""
    vendor = HubSpot()
    for number in numbers:
        deal = {**hubspot_samples.deal(**properties), "id": str(number)}
        contact = {**deal.pop("contact"), "id": str(number + 100)}
        vendor.deals.append(deal)
        vendor.contacts[contact["id"]] = contact
        vendor.of_deals[deal["id"]] = ["999", contact["id"]]
    return vendor


@asynccontextmanager
async def _few_at_once(vendor: HubSpot, desk: Desk) -> AsyncIterator[Puller]:
    """HubSpot, asked for two deals at once."""
    async with pulling(desk, vendor, "hubspot", DEALS) as shop:
        assert shop.source.api is not None
        asking = Asking(shop.source.api, headers(KEY), per_second=1000)
        shop.apis = {shop.source.name: HubSpotApi(asking, shop.source.mapping, size=2)}
        yield shop
        await asking.close()


async def test_hubspot_ends_in_one_state_whether_a_deal_was_sent_or_pulled(desk: Desk) -> None:
    found, names = [], []
    for name in ("sent", "pulled", "both"):
        vendor = _deals(hubspot_samples.DEAL)
        vendor.of_deals[str(hubspot_samples.DEAL)] = [str(hubspot_samples.DEAL + 100)]
        async with pulling(desk, vendor, "hubspot", replace(DEALS, source=f"acme/{name}"), name) as shop:
            if name != "pulled":
                whole = {**vendor.deals[0], "contact": vendor.contacts[str(hubspot_samples.DEAL + 100)]}
                await shop.hear(hubspot_samples.told(whole))
            await shop.since(SINCE)
            if name != "sent":
                await shop.pull()
            found.append(await shop.facts())
            names.append(await shop.outcomes())
    assert found[1] == found[0] == found[2]
    assert names[1] == names[0] == names[2]
    assert len(found[0]) == 2


async def test_a_deal_that_is_worth_more_by_now_is_no_second_purchase(desk: Desk) -> None:
    vendor = _deals(1)
    async with pulling(desk, vendor, "hubspot", DEALS) as shop:
        await shop.since(SINCE)
        await shop.pull()
        vendor.deals[0]["properties"] |= {"amount": "1350", "hs_lastmodifieddate": "2026-07-20T10:00:00Z"}
        vendor.contacts["101"]["properties"]["email"] = "bree@example.com"
        await shop.since(SINCE)
        await shop.pull()
        rows = await shop.ask(
            "SELECT type, data->>'amount' AS amount FROM fact WHERE source = 'acme/shop' ORDER BY 1, 2"
        )
        assert [tuple(row) for row in rows] == [
            ("conversion.amended", "1200.00"),
            ("conversion.amended", "1350.00"),
            ("conversion.recorded", "1200.00"),
        ]
        assert set((await shop.outcomes()).values()) == {"read"}


async def test_deals_that_changed_at_one_instant_and_while_paging_are_all_told(desk: Desk) -> None:
    vendor = _deals(*range(1, 8))
    for each in vendor.deals[5:]:
        each["properties"] = {**each["properties"], "hs_lastmodifieddate": "2026-07-25T10:00:00Z"}

    def change(asked: Asked) -> None:
        if len([each for each in vendor.asked if each.path.endswith("/search")]) == 3:
            first = next(each for each in vendor.deals if each["id"] == "1")
            first["properties"] = {**first["properties"], "hs_lastmodifieddate": "2026-07-31T11:00:00Z"}

    vendor.before_page = change
    async with _few_at_once(vendor, desk) as shop:
        await shop.since(SINCE)
        await shop.pull()
        names = set(await shop.outcomes())
    assert {name.split("/")[1] for name in names} == set("1234567")
    assert len(names) == 8


async def test_a_deal_that_was_deleted_or_merged_away_is_worth_nothing(desk: Desk) -> None:
    vendor = _deals(1, 2, 3)
    async with _few_at_once(vendor, desk) as shop:
        await shop.since(SINCE)
        await shop.pull()
        gone = next(each for each in vendor.deals if each["id"] == "1")
        vendor.deals.remove(gone)
        vendor.deleted = [
            {**gone, "archived": True, "archivedAt": "2026-07-28T10:00:00Z"},
            *({**gone, "id": f"{number}", "archived": True, "archivedAt": "2025-01-01T00:00:00Z"} for number in (7, 8)),
        ]
        left = next(each for each in vendor.deals if each["id"] == "3")
        vendor.deals = [left]
        left["properties"] |= {"hs_lastmodifieddate": "2026-07-29T10:00:00Z", "hs_merged_object_ids": "2"}
        await shop.since(datetime(2026, 7, 20, tzinfo=UTC))
        await shop.pull()
        rows = await shop.ask(
            "SELECT data->>'order' AS deal, occurred_at FROM fact"
            " WHERE type = 'conversion.amended' AND data->>'amount' = '0.00' ORDER BY 1"
        )
    assert [(row.deal, row.occurred_at.day) for row in rows] == [("1", 28), ("2", 29)]
