"""HubSpot's deals with their contacts: https://developers.hubspot.com/docs/api-reference/crm-deals-v3/guide.

A search gives ten thousand deals at most, and one that changes meanwhile moves to its end. So no page is asked for by
its number: each begins at the instant of the last deal of the one before, and deals of one instant are told apart by
their ids. A search leaves out what was deleted; that is listed after it. The app needs `crm.objects.deals.read` and
`crm.objects.contacts.read`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from referral_rewards.vendor_apis.asking import Answer, Asking, listed
from referral_rewards.vendor_apis.port import NotTold, Page, Trouble
from referral_rewards.vendors.hubspot import PULLED
from referral_rewards.vendors.port import SourceMapping, Told, Unreadable
from referral_rewards.vendors.values import as_told, moment, name

#: HubSpot lets an account search five times a second.
PER_SECOND: Final = 4.0
PAGE: Final = 100
CHANGED: Final = "hs_lastmodifieddate"
_DEAL: Final = ("dealstage", "amount", "deal_currency_code", "closedate", CHANGED, "hs_merged_object_ids")
_CONTACT: Final = ("email", "phone", "firstname", "lastname")
#: The properties that a company's own path leads to.
_NAMED: Final = re.compile(r"(contact\.)?properties\.\"?([A-Za-z0-9_]+)")


class HubSpotApi:
    """The deals of one account, with the properties that the source's mapping reads."""

    def __init__(self, asking: Asking, mapping: SourceMapping, size: int = PAGE) -> None:
        self._asking, self._size = asking, size
        named = [found for path in mapping.paths.values() for found in _NAMED.findall(path.expression)]
        self._of_deals = sorted({*_DEAL, *(each for contact, each in named if not contact)})
        self._of_contacts = sorted({*_CONTACT, *(each for contact, each in named if contact)})

    async def page(self, since: datetime, place: str | None) -> Page:
        """See `VendorApi.page`."""
        where: dict[str, Any] = json.loads(place) if place is not None else {"from": _milliseconds(since)}
        if "deleted" in where:
            return await self._deleted(since, where["deleted"])
        answer = await self._search(where)
        deals = listed(answer.body, "results")
        has_more = len(deals) >= self._size or name(answer.body, "paging", "next", "after") is not None
        return Page(await self.told(deals), json.dumps(self._next(where, deals if has_more else ())), answer.at)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any] | None:
        """See `VendorApi.get`; ``path`` as ``crm/v3/objects/deals/7001``."""
        answer = await self._asking.ask("GET", path, query)
        return None if answer is None else dict(answer.body)

    async def deal(self, its: str) -> Told | None:
        """Return a deal as an event, also one that was deleted; None if the account never had it.

        Raises:
            NotTold: if it does not answer.
        """
        for archived in ("false", "true"):
            query = {"archived": archived, "properties": ",".join(self._of_deals)}
            found = await self.get(f"crm/v3/objects/deals/{quote(its, safe='')}", query)
            if found is not None:
                if _id(found) != its:
                    raise NotTold(Trouble.BROKEN, "it was asked for one deal and told of another one")
                return (await self.told([found]))[0]
        return None

    async def told(self, deals: Sequence[Mapping[str, Any]]) -> tuple[Told, ...]:
        """Return deals as events, each with its oldest contact beside it, as the translator reads them."""
        contacts = await self._contacts([_id(each) for each in deals])
        return tuple(
            Told(as_told({**each, PULLED: True, **({"contact": its} if (its := contacts.get(_id(each))) else {})}))
            for each in deals
        )

    async def _search(self, where: Mapping[str, Any]) -> Answer:
        """Search from an instant on, or on among the deals that changed at one instant."""
        if "at" in where:
            filters, by = [_is(CHANGED, "EQ", where["at"]), _is("hs_object_id", "GT", where["id"])], "hs_object_id"
        else:
            filters, by = [_is(CHANGED, "GTE", where["from"])], CHANGED
        asked = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": by, "direction": "ASCENDING"}],
            "properties": self._of_deals,
            "limit": self._size,
        }
        return await self._needed("POST", "crm/v3/objects/deals/search", body=asked)

    async def _deleted(self, since: datetime, after: str | None) -> Page:
        asked = {"archived": "true", "limit": self._size, "properties": ",".join(self._of_deals)}
        query = asked if after is None else {**asked, "after": after}
        answer = await self._needed("GET", "crm/v3/objects/deals", query)
        gone = [each for each in listed(answer.body, "results") if (_at(each, "archivedAt") or since) >= since]
        following = name(answer.body, "paging", "next", "after")
        place = None if following is None else json.dumps({"deleted": following})
        return Page(tuple(Told(as_told({**each, PULLED: True})) for each in gone), place, answer.at)

    async def _contacts(self, deals: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the oldest contact of each deal that has one."""
        ids = {deal: min(its, key=_in_order) for deal, its in (await self._associated(deals)).items() if its}
        found = await self._batch("crm/v3/objects/contacts", sorted(set(ids.values())), properties=self._of_contacts)
        contacts = {_id(each): each for each in found}
        return {deal: contacts[its] for deal, its in ids.items() if its in contacts}

    async def _associated(self, deals: Sequence[str]) -> Mapping[str, Sequence[str]]:
        pairs = await self._batch("crm/v3/associations/deals/contacts", deals)
        return {
            its: [_id(each) for each in listed(pair, "to")]
            for pair in pairs
            if (its := name(pair, "from", "id")) is not None
        }

    async def _batch(self, path: str, ids: Sequence[str], **asked: Any) -> Iterable[Mapping[str, Any]]:
        if not ids:
            return ()
        body = {**asked, "inputs": [{"id": each} for each in ids]}
        return listed((await self._needed("POST", f"{path}/batch/read", body=body)).body, "results")

    def _next(self, where: Mapping[str, Any], deals: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return where the search goes on after a page that is not its last, with these deals: at the last deal, or
        among those of its instant. Without any, after the last page: behind that, or with what was deleted."""
        if not deals:
            return {"from": where["at"] + 1} if "at" in where else {"deleted": None}
        if "at" in where:
            return {"at": where["at"], "id": _id(deals[-1])}
        changed = _at(deals[-1], "properties", CHANGED)
        if changed is None:
            raise NotTold(Trouble.BROKEN, f"its answer has a deal without {CHANGED}")
        at = _milliseconds(changed)
        return {"from": at} if at > where["from"] else {"at": at, "id": "0"}

    async def _needed(self, method: str, path: str, query: Any = None, body: Any = None) -> Answer:
        if (answer := await self._asking.ask(method, path, query, body)) is None:
            raise NotTold(Trouble.REFUSED, f"it answered 404 to {path}")
        return answer


def headers(key: str) -> Mapping[str, str]:
    """Return what each request bears."""
    return {"Authorization": f"Bearer {key}"}


def _is(property_: str, operator: str, value: object) -> Mapping[str, str]:
    return {"propertyName": property_, "operator": operator, "value": str(value)}


def _id(found: Mapping[str, Any]) -> str:
    its = name(found, "id")
    if its is None:
        raise NotTold(Trouble.BROKEN, "its answer has an object without an id")
    return its


def _at(found: Mapping[str, Any], *path: str) -> datetime | None:
    try:
        return moment(found, *path)
    except Unreadable:
        raise NotTold(Trouble.BROKEN, f"its answer has no moment in {path[-1]}") from None


def _milliseconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)


def _in_order(its: str) -> tuple[int, str]:
    return (int(its), "") if its.isascii() and its.isdecimal() else (0, its)
