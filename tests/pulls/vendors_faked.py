"""Stripe, Shopify and HubSpot as far as a pull asks them, over real HTTP: they page, filter, and have bad days.

Each refuses a request without its key. ``bad_days`` are answers that are given first, before any page.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs

from referral_rewards.loopback import Message, Receive, Send, reply

KEY = "key-of-a-test"


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Vendor:
    """What the three share. ``now`` is by the vendor's clock; ``before_page`` is called before each answer, for what
    happens while somebody pages."""

    page: int = 2
    bad_days: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    now: datetime = datetime(2026, 8, 1, 12, tzinfo=UTC)
    before_page: Callable[["Asked"], None] = lambda asked: None

    #: The header that bears the key, with what stands before it.
    key: tuple[str, str] = ("authorization", "Bearer ")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = Asked(
            scope["method"],
            scope["path"],
            parse_qs(scope["query_string"].decode()),
            {name.decode(): value.decode() for name, value in scope["headers"]},
            json.loads(await _body(receive) or b"null"),
        )
        self.asked.append(request)
        header, before = self.key
        status, body, more = 401, b"{}", dict[str, str]()
        if request.headers.get(header) == before + KEY:
            if self.bad_days:
                status, body, more = self.bad_days.pop(0)
            else:
                self.before_page(request)
                status, found, more = self.answer(request)
                body = json.dumps(found).encode()
        await reply(send, status, body, date=format_datetime(self.now, usegmt=True), **more)

    def answer(self, asked: Asked) -> tuple[int, Any, dict[str, str]]:
        raise NotImplementedError


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


@dataclass
class Stripe(Vendor):
    """Its events, the newest first. They are forgotten after thirty days by nobody here."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, asked: Asked) -> tuple[int, Any, dict[str, str]]:
        since, types = int(asked.query["created[gte]"][0]), asked.query["types[]"]
        account = asked.headers.get("stripe-account")
        listed = [
            each
            for each in sorted(self.events, key=lambda each: (each["created"], each["id"]), reverse=True)
            if each["created"] >= since and each["type"] in types and each.get("of") == account
        ]
        after = asked.query.get("starting_after")
        if after is not None:
            places = [place for place, each in enumerate(listed) if each["id"] == after[0]]
            if not places:
                return 400, {"error": {"type": "invalid_request_error", "message": f"No such event: {after[0]}"}}, {}
            listed = listed[places[0] + 1 :]
        data = [{name: value for name, value in each.items() if name != "of"} for each in listed[: self.page]]
        return 200, {"object": "list", "data": data, "has_more": len(listed) > self.page, "url": "/v1/events"}, {}


@dataclass
class Shopify(Vendor):
    """The orders of one shop, by their ids, the newest first."""

    key: tuple[str, str] = ("x-shopify-access-token", "")
    orders: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> tuple[int, Any, dict[str, str]]:
        assert asked.path == "/admin/api/2026-10/orders.json"
        if "page_info" in asked.query:
            if set(asked.query) != {"page_info", "limit"}:
                return 400, {"errors": "page_info goes with limit alone"}, {}
            if asked.query["page_info"][0] not in self.places:
                return 400, {"errors": "Invalid value."}, {}
            since, below = self.places[asked.query["page_info"][0]]
        else:
            assert asked.query["status"] == ["any"]
            since, below = datetime.fromisoformat(asked.query["updated_at_min"][0]), 10**12
        listed = [
            each
            for each in sorted(self.orders, key=lambda each: int(each["id"]), reverse=True)
            if each["id"] < below and datetime.fromisoformat(each["updated_at"]) >= since
        ]
        page, more = listed[: self.page], {}
        if len(listed) > self.page:
            name = f"place{len(self.places)}="
            self.places[name] = (since, page[-1]["id"])
            # Nobody follows this address: only the place in it is taken.
            more["link"] = f'<https://elsewhere.example.com/orders.json?limit=2&page_info={name}>; rel="next"'
        return 200, {"orders": page}, more


@dataclass
class HubSpot(Vendor):
    """Its deals with their contacts."""

    deals: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    of_deals: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> tuple[int, Any, dict[str, str]]:
        match asked.path:
            case "/crm/v3/objects/deals/search":
                return 200, self._found(asked.body), {}
            case "/crm/v3/objects/deals":
                assert asked.query["archived"] == ["true"]
                return 200, self._archived(asked.query.get("after", ["0"])[0]), {}
            case "/crm/v3/associations/deals/contacts/batch/read":
                ids = [each["id"] for each in asked.body["inputs"]]
                pairs = [(its, self.of_deals[its]) for its in ids if its in self.of_deals]
                return (
                    207,
                    {"results": [{"from": {"id": its}, "to": [{"id": c} for c in them]} for its, them in pairs]},
                    {},
                )
            case "/crm/v3/objects/contacts/batch/read":
                ids = [each["id"] for each in asked.body["inputs"]]
                return (
                    200,
                    {"results": [self._of(self.contacts[its], asked.body) for its in ids if its in self.contacts]},
                    {},
                )
        return 404, {}, {}

    def _found(self, body: Any) -> Any:
        (group,), (sort,) = body["filterGroups"], body["sorts"]
        assert "after" not in body
        found = [each for each in self.deals if all(_fits(each, its) for its in group["filters"])]
        found.sort(key=lambda each: _value(each, sort["propertyName"]))
        return {"total": len(found), "results": [self._of(each, body) for each in found[: body["limit"]]]}

    def _of(self, each: dict[str, Any], body: Any) -> dict[str, Any]:
        asked = {name: each["properties"].get(name) for name in body["properties"]}
        return {**{name: value for name, value in each.items() if name != "contact"}, "properties": asked}

    def _archived(self, after: str) -> Any:
        listed = [
            each for each in sorted(self.deleted, key=lambda each: int(each["id"])) if int(each["id"]) > int(after)
        ]
        page = listed[: self.page]
        more = {"paging": {"next": {"after": page[-1]["id"]}}} if len(listed) > self.page else {}
        return {"results": page, **more}


def _value(deal: Mapping[str, Any], name: str) -> int:
    if name == "hs_object_id":
        return int(deal["id"])
    return int(datetime.fromisoformat(deal["properties"][name]).timestamp() * 1000)


def _fits(deal: Mapping[str, Any], its: Mapping[str, str]) -> bool:
    held, asked = _value(deal, its["propertyName"]), int(its["value"])
    return {"GTE": held >= asked, "GT": held > asked, "EQ": held == asked}[its["operator"]]
