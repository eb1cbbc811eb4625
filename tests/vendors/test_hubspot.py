"""What HubSpot's events say by themselves, and what a deal says that was fetched."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import permutations
from threading import Thread
from typing import Any, Final

import pytest

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.vendors import hubspot
from referral_rewards.vendors.hubspot import HubSpot
from referral_rewards.vendors.port import Field, Told, Unreadable, Vendor
from tests.domain.build import acme
from tests.vendors.hubspot_samples import (
    CHANGED_AT,
    DEAL,
    OCCURRED,
    PORTAL,
    SAMPLES,
    URL,
    changed,
    deal,
    event,
    read,
    signed,
    told,
)
from tests.vendors.reading import GUIDES, data, mapping, rows, stored, types

NOW: Final = datetime(2026, 7, 12, 9, 30, tzinfo=UTC)
RECORDED, AMENDED, CLAIMED = "conversion.recorded", "conversion.amended", "referral.claimed"
BATCH: Final = [changed("amount", "10", eventId=number) for number in range(3)]


def test_it_is_a_vendor() -> None:
    vendor: Vendor = HubSpot()
    assert vendor.name == "hubspot"


# The guide


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_guide_says_what_becomes_of_each_event(name: str) -> None:
    reading = read(SAMPLES[name])
    assert set(types(reading)) == rows("hubspot.md")[name]
    assert (reading.ignored is None) == bool(reading.facts)


def test_the_guide_names_no_event_that_is_not_tried_here() -> None:
    assert rows("hubspot.md").keys() == SAMPLES.keys()
    assert hubspot.IGNORED.keys() <= SAMPLES.keys()


def test_an_unknown_event_is_ignored_and_says_so() -> None:
    assert read(event("ticket.creation")).ignored == hubspot.OTHER_EVENT


# The signature


@pytest.mark.parametrize("seconds", [0, -300, 300])
def test_a_request_signed_by_any_of_our_secrets_about_now_is_genuine(seconds: int) -> None:
    request = signed(told(BATCH), "old", OCCURRED + 1000 * seconds)
    HubSpot().verify(["new", "old"], request, mapping(), NOW)


@pytest.mark.parametrize(
    ("called", "signed_for"),
    [
        (f"{URL}?a=%3Ab%2Fc", f"{URL}?a=:b/c"),
        (f"{URL}?a=%40%21%24%27%28%29%2a%2C%3B", f"{URL}?a=@!$'()*,;"),
        (f"{URL}?a=%20%C3%A9%26", f"{URL}?a=%20%C3%A9%26"),
    ],
)
def test_hubspot_signs_the_address_with_some_characters_written_plainly(called: str, signed_for: str) -> None:
    request = told(BATCH)._replace(url=called)
    HubSpot().verify(["s"], signed(request, "s", OCCURRED, signed_for), mapping(), NOW)


@pytest.mark.parametrize(
    ("change", "secrets"),
    [
        ({}, ["other"]),
        ({}, []),
        ({}, [""]),
        ({"body": b"[]"}, ["s"]),
        ({"url": URL + "/other"}, ["s"]),
        ({"method": "PUT"}, ["s"]),
        ({"headers": {}}, ["s"]),
        ({"headers": {"x-hubspot-signature": "v1", "x-hubspot-signature-version": "v1"}}, ["s"]),
    ],
)
def test_any_other_request_is_refused(change: dict[str, Any], secrets: list[str]) -> None:
    request = signed(told(BATCH), "s", OCCURRED)._replace(**change)
    with pytest.raises(NotGenuine):
        HubSpot().verify(secrets, request, mapping(), NOW)


@pytest.mark.parametrize("apart", [timedelta(seconds=301), timedelta(seconds=-301), timedelta(days=400)])
def test_a_stamp_too_old_or_too_new_is_refused(apart: timedelta) -> None:
    request = signed(told(BATCH), "s", OCCURRED)
    with pytest.raises(NotGenuine, match="compare the clocks"):
        HubSpot().verify(["s"], request, mapping(), NOW + apart)


def test_a_stamp_is_signed() -> None:
    request = signed(told(BATCH), "s", OCCURRED)
    later = {**request.headers, "x-hubspot-request-timestamp": str(OCCURRED + 1000)}
    with pytest.raises(NotGenuine, match=f"is not of this request by one of our secrets.* {URL}$"):
        HubSpot().verify(["s"], request._replace(headers=later), mapping(), NOW)


# Batches


def test_a_batch_is_parted_into_its_events() -> None:
    parts = HubSpot().events(told(BATCH))
    assert [json.loads(each.body) for each in parts] == BATCH
    assert len({HubSpot().read(each, mapping()).event_id for each in parts}) == 3
    assert HubSpot().events(told([])) == []


def test_a_delivery_that_is_tried_again_has_the_same_events() -> None:
    again = {**BATCH[0], "attemptNumber": 3}
    assert read(BATCH[0]) == read(again)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff"])
def test_what_is_no_json_can_not_be_parted(body: bytes) -> None:
    with pytest.raises(Unreadable, match="the body is no JSON"):
        HubSpot().events(told([])._replace(body=body))


@pytest.mark.parametrize("body", [[1], {"hello": 1}, {"subscriptionType": "deal.deletion"}])
def test_what_is_neither_an_event_nor_a_deal_is_unreadable(body: Any) -> None:
    with pytest.raises(Unreadable):
        [HubSpot().read(each, mapping()) for each in HubSpot().events(told(body))]


def test_an_account_that_is_not_named_is_ignored_where_accounts_are_named() -> None:
    assert read(BATCH[0], mapping(accounts=frozenset({str(PORTAL)}))).ignored is None
    assert read(BATCH[0], mapping(accounts=frozenset({"1"}))).ignored == hubspot.OTHER_PORTAL


# What an event tells


@pytest.mark.parametrize(
    ("body", "kinds", "amount"),
    [
        (changed("amount", "1350.5"), {}, "1350.50"),
        (changed("dealstage", "closedlost"), {}, "0.00"),
        (changed("dealstage", "qualifiedtobuy"), {}, "0.00"),
        (changed("dealstage", "99"), {}, "0.00"),
        (changed("dealstage", "99"), {"99": "subscription"}, None),
        (changed("dealstage", "closedwon"), {"99": "subscription"}, None),
        (changed("amount", ""), {}, None),
        (event("object.deletion", objectTypeId="0-3"), {}, "0.00"),
        (event("object.deletion", objectTypeId="0-1"), {}, None),
    ],
)
def test_what_a_deal_is_worth_from_now_on(body: dict[str, Any], kinds: dict[str, str], amount: str | None) -> None:
    reading = read(body, mapping(source="crm", kinds=kinds, store="eu"))
    if amount is None:
        assert reading.ignored
        return
    (said,) = reading.facts
    assert said["data"] == {"order": str(DEAL), "store": "eu", "amount": amount}
    assert said["time"] == NOW.isoformat()


def test_an_amount_that_is_another_property_is_not_taken_from_this_one() -> None:
    its = mapping({Field.AMOUNT: "properties.hs_acv"}, source="crm")
    assert read(changed("amount", "10"), its).ignored == hubspot.OTHER_AMOUNT
    assert data(read(deal(hs_acv="300"), its), RECORDED)["amount"] == "300.00"


@pytest.mark.parametrize(
    ("left", "gone"),
    [({}, ["7002", "7003"]), ({"newObjectId": 7009}, ["7001", "7002", "7003"])],
    ids=["the first is left", "a new one is left"],
)
def test_deals_that_were_merged_are_worth_nothing_of_their_own(left: dict[str, int], gone: list[str]) -> None:
    reading = read({**SAMPLES["deal.merge"], **left})
    assert [each["data"]["order"] for each in reading.facts] == gone


# What a fetched deal tells


@contextmanager
def _hubspots_api(answers: Mapping[str, Any]) -> Iterator[tuple[str, list[Told]]]:
    """A server that answers as HubSpot's API and takes what is sent to a source; yields its URL and what it took."""
    taken: list[Told] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(json.dumps(answers[self.path.partition("?")[0]]).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            taken.append(Told(body, headers, f"http://{self.headers['Host']}{self.path}"))
            self._reply(b"{}")

        def _reply(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


def test_what_the_guide_fetches_and_sends_is_genuine_and_read() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (GUIDES / "hubspot.md").read_text(), re.DOTALL)
    whole = deal()
    contact = whole.pop("contact")
    whole["associations"] = {"contacts": {"results": [{"id": contact["id"], "type": "deal_to_contact"}]}}
    answers = {f"/deals/{DEAL}": whole, f"/contacts/{contact['id']}": contact}
    names: dict[str, Any] = {}
    exec(compile(code, "hubspot.md", "exec"), names)
    with _hubspots_api(answers) as (url, taken):
        names["API"] = url
        names["send"](str(DEAL), "token", "secret", f"{url}/v1/webhooks/crm")
    (request,) = taken
    HubSpot().verify(["secret"], request, mapping(), datetime.now(UTC))
    assert read(json.loads(request.body)) == read(deal())


def test_a_won_deal_is_told_with_its_contact() -> None:
    reading = read(deal())
    assert types(reading) == [RECORDED, AMENDED]
    assert data(reading, RECORDED) == {
        "order": str(DEAL),
        "kind": "purchase",
        "amount": "1200.00",
        "currency": "USD",
        "customer": {
            "customer": "501",
            "email": "brie@example.com",
            "phone": "+14165550173",
            "name": "Brie Cheese",
        },
    }
    assert data(reading, AMENDED)["amount"] == "1200.00"
    assert reading.at == datetime.fromisoformat(CHANGED_AT)


def test_a_deal_whose_contact_was_not_fetched_can_be_linked_by_hand() -> None:
    assert data(read({**deal(), "contact": None}), RECORDED)["customer"] == {}


def test_a_deal_that_carries_a_code_claims_the_offer() -> None:
    its = mapping({Field.CODE: "contact.properties.referral_code"}, program="acme-friends")
    said = data(read(deal(), its), CLAIMED)
    assert (said["referrer_code"], said["program"], said["channel"]) == ("DEXTER", "acme-friends", "link")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"amount": None}, "properties.amount: is missing"),
        ({"amount": "a lot"}, "properties.amount: is no amount"),
        ({"deal_currency_code": None}, "properties.deal_currency_code: is missing"),
        ({"closedate": None}, "properties.closedate: is missing"),
        ({"dealstage": None}, "properties.dealstage: is missing"),
    ],
)
def test_a_won_deal_that_lacks_something_is_unreadable(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(Unreadable, match=where):
        read(deal(**changes))


def test_an_account_of_one_currency_has_it_mapped() -> None:
    its = mapping({Field.CURRENCY: "'EUR'"}, source="crm")
    assert data(read(deal(deal_currency_code=None), its), RECORDED)["currency"] == "EUR"


@pytest.mark.parametrize("body", [deal(dealstage="closedlost"), {**deal(), "archived": True}])
def test_a_deal_that_is_not_won_is_worth_nothing(body: dict[str, Any]) -> None:
    assert data(read(body), AMENDED)["amount"] == "0.00"


def _at(minutes: int) -> int:
    return OCCURRED + 60_000 * minutes


def _fetched(minutes: int, **more: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(_at(minutes) / 1000, UTC).isoformat()
    return deal(hs_lastmodifieddate=moment, closedate=datetime.fromtimestamp(OCCURRED / 1000, UTC).isoformat(), **more)


@pytest.mark.parametrize(
    ("events", "net_minor"),
    [
        ([_fetched(1)], 120000),
        ([_fetched(1), changed("amount", "900", occurredAt=_at(2))], 90000),
        ([_fetched(1), changed("dealstage", "closedlost", occurredAt=_at(2))], 0),
        ([changed("dealstage", "closedlost", occurredAt=_at(-9)), _fetched(1)], 120000),
        ([_fetched(1), changed("dealstage", "closedlost", occurredAt=_at(2)), _fetched(3)], 120000),
        ([_fetched(1), event("deal.deletion", occurredAt=_at(2))], 0),
        ([_fetched(1), changed("dealstage", "appointmentscheduled", occurredAt=_at(2)), changed("amount", "5")], 0),
    ],
    ids=["won", "another amount", "lost", "lost, then won", "won, lost, won", "deleted", "reopened"],
)
def test_a_deal_ends_in_one_state_in_whatever_order_its_events_come(
    events: Sequence[dict[str, Any]], net_minor: int
) -> None:
    found = []
    for each in permutations([*events, events[0]]):
        facts = stored(read(body) for body in each)
        found += conversions(facts, facts[0].identity | {m for f in facts for m in f.marks}, acme())
    assert {each.net_minor for each in found} == {net_minor}
    assert {each.conflicts for each in found} == {()}
