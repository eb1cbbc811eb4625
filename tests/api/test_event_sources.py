"""Connected sources: their events are kept, become facts once, and can be read again."""

import asyncio
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from referral_rewards.api import source_events
from referral_rewards.domain.facts.rights import rights
from referral_rewards.register.source_events import payloads
from referral_rewards.vendors.cloud_events import CloudEvents
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.paths import Path
from referral_rewards.vendors.port import Field, SourceMapping
from tests.desk import Desk
from tests.statements import counted
from tests.vendors.stripe_life import LIFE, MAPPING, SECRET, connected, event, invoice, refund, session

#: Orders of one life in which something waits at first, and one in which it does not.
_ORDERS = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (9, 8, 7, 6, 5, 4, 3, 2, 1, 0), (7, 3, 9, 0, 8, 1, 6, 2, 5, 4))
_NAMES = tuple(f"stripe-{number}" for number in range(len(_ORDERS)))


def _sources(*names: str) -> Mapping[str, ConnectedSource]:
    return {name: connected(name, replace(MAPPING, source=f"acme/{name}")) for name in names}


@pytest.fixture
async def heard(desk: Desk) -> Desk:
    """A desk that hears several sources of Stripe."""
    desk.app.state.parts = replace(desk.parts, event_sources=_sources("stripe-orders", *_NAMES))
    return desk


async def _send(
    desk: Desk, document: Mapping[str, Any], source: str = "stripe-orders", secret: str = SECRET
) -> httpx.Response:
    return await _raw(desk, json.dumps(document).encode(), source, secret)


async def _raw(desk: Desk, body: bytes, source: str = "stripe-orders", secret: str = SECRET) -> httpx.Response:
    stamp = int(datetime.now(UTC).timestamp())
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    headers = {"stripe-signature": f"t={stamp},v1={signature}", "content-type": "application/json"}
    return await desk.api.post(f"/v1/webhooks/{source}", content=body, headers=headers)


async def _resolve(desk: Desk) -> int:
    return await source_events.resolve(desk.app.state.parts)


async def _facts(desk: Desk, source: str) -> set[tuple[Any, ...]]:
    """The facts of a source, without what differs between sources."""
    rows = await _rows(
        desk, "SELECT event_id, type, occurred_at, CAST(data AS text) AS data FROM fact WHERE source = :s", s=source
    )
    return {tuple(row) for row in rows}


async def _rows(desk: Desk, sql: str, **asked: Any) -> list[Any]:
    async with desk.database.transaction() as connection:
        return list(await connection.execute(text(sql), asked))


async def _queue(desk: Desk) -> list[dict[str, Any]]:
    found = (await desk.get("/v1/claims?exception=unread_event")).json()
    entries: list[dict[str, Any]] = found["entries"] if "entries" in found else found["claims"]
    return entries


async def test_deliveries_in_any_order_and_several_times_end_in_one_state(heard: Desk) -> None:
    for name, order in zip(_NAMES, _ORDERS, strict=True):
        answers = [await _send(heard, LIFE[place], name) for place in (*order, order[0], order[4])]
        assert {each.status_code for each in answers} == {200}
        assert [each.json()["event"] for each in answers[-2:]] == ["repeated"] * 2
        await _resolve(heard)
        await _send(heard, LIFE[order[2]], name)
    found = [await _facts(heard, f"acme/{name}") for name in _NAMES]
    assert len(found[0]) == 11
    assert found[1] == found[0] == found[2]
    outcomes = await _rows(heard, "SELECT DISTINCT outcome, awaits FROM source_reading")
    assert [tuple(row) for row in outcomes] == [("read", None)]
    events = await _rows(heard, "SELECT source, count(*) AS events FROM source_event GROUP BY 1")
    assert {row.events for row in events} == {len(LIFE)}


async def test_one_event_many_times_at_once_is_recorded_once(heard: Desk) -> None:
    answers = await asyncio.gather(*(_send(heard, LIFE[0]) for _ in range(6)))
    assert sorted(each.json()["event"] for each in answers) == ["recorded", *["repeated"] * 5]
    assert [each.json()["facts"] for each in answers].count(2) == 1
    assert len(await _facts(heard, "acme/stripe-orders")) == 2


async def test_a_fact_stands_beside_who_told_it_and_the_event_as_it_came(heard: Desk) -> None:
    await _send(heard, LIFE[0])
    ((user, sources, types),) = await _rows(
        heard, "SELECT username, sources, types FROM fact_teller WHERE username <> 'site'"
    )
    assert (user, sources) == ("source stripe-orders", ["acme/stripe-orders"])
    assert "conversion.recorded" in types
    ((event, sealed, facts),) = await _rows(
        heard, "SELECT event, sealed, facts FROM source_payload p JOIN source_reading r USING (event)"
    )
    assert LIFE[0]["id"].encode() not in sealed
    async with heard.database.reading() as connection:
        told = payloads.opened(connection, event, sealed)
    assert json.loads(told.body) == LIFE[0]
    ids = await _rows(heard, "SELECT CAST(id AS text) FROM fact WHERE source = 'acme/stripe-orders'")
    assert set(facts) == {row[0] for row in ids}
    for table in ("source_event", "source_payload", "source_name"):
        with pytest.raises(DBAPIError, match="append-only"):
            await _rows(heard, f"DELETE FROM {table}")


@pytest.mark.parametrize("how", ["another secret", "another body", "no signature"])
async def test_a_forged_event_leaves_no_trace(how: str, heard: Desk) -> None:
    if how == "another secret":
        answer = await _send(heard, LIFE[0], secret="whsec_guessed")
    else:
        headers = {"stripe-signature": "t=1,v1=ab"} if how == "another body" else {}
        answer = await heard.api.post("/v1/webhooks/stripe-orders", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:referrals:not-genuine")
    assert SECRET not in answer.text
    ((events, facts),) = await _rows(
        heard,
        "SELECT (SELECT count(*) FROM source_event), (SELECT count(*) FROM fact WHERE source LIKE 'acme/stripe%')",
    )
    assert (events, facts) == (0, 0)
    told = heard.parts.metrics.exposition().decode()
    assert 'referrals_source_events_total{outcome="not_genuine",source="stripe-orders"} 1.0' in told


async def test_a_type_without_meaning_is_counted_and_one_of_test_mode_too(heard: Desk) -> None:
    whys = []
    for document in (event("evt_1", "customer.updated", {"id": "cus_1"}), {**LIFE[0], "livemode": False}):
        answer = await _send(heard, {**document, "id": f"evt_{document['type']}"})
        assert (answer.status_code, answer.json()["event"]) == (200, "ignored")
        whys.append(answer.json()["why"])
    assert await _facts(heard, "acme/stripe-orders") == set()
    (source,) = [each for each in (await heard.get("/v1/sources")).json()["sources"] if each["name"] == "stripe-orders"]
    assert [(each["type"], each["outcome"], each["events"]) for each in source["events"]] == [
        ("checkout.session.completed", "ignored", 1),
        ("customer.updated", "ignored", 1),
    ]
    assert [each["why"] for each in source["events"]] == whys[::-1] != [None, None]
    assert SECRET not in str(source)


async def test_what_cannot_be_read_stands_in_the_queue_until_the_mended_mapping_reads_it(heard: Desk) -> None:
    poison = event("evt_1", "checkout.session.completed", session(metadata={"referral_code": {"is": "no text"}}))
    answer = await _send(heard, poison)
    assert (answer.status_code, answer.json()["event"]) == (200, "parked")
    (entry,) = await _queue(heard)
    assert (entry["subject"], entry["seen"], entry["referral"]) == ("stripe-orders", 1, None)
    assert "1 event of source “stripe-orders” could not be taken; the newest is" in entry["about"]
    assert "code: is no text; map a path" in entry["about"]
    assert "referrals sources replay stripe-orders" in entry["to_do"]
    async with heard.browser("paula") as browser:
        page = await browser.get("/queue?exception=unread_event")
        assert "Events not read" in page.text
        assert "source stripe-orders" in page.text
    mended = replace(MAPPING, source="acme/stripe-orders", paths={Field.CODE: Path("metadata.referral_code.is")})
    heard.app.state.parts = replace(
        heard.app.state.parts, event_sources={"stripe-orders": connected("stripe-orders", mended)}
    )
    replayed = await _replay(heard, {})
    assert (replayed.json()["events"], replayed.json()["recorded"]) == ({"read": 1}, 2)
    assert len(await _facts(heard, "acme/stripe-orders")) == 2
    assert await _queue(heard) == []


async def test_what_cannot_be_read_can_be_set_aside_and_more_brings_it_back(heard: Desk) -> None:
    await _send(heard, event("evt_1", "refund.created", refund(amount="20")))
    (entry,) = await _queue(heard)
    asked = {"exception": "unread_event", "subject": "stripe-orders", "seen": entry["seen"], "note": "a trial of ours"}
    done = await heard.api.post("/v1/queue/set-aside", json=asked, headers=heard.bearer("oscar"))
    assert done.status_code == 201
    assert await _queue(heard) == []
    await _send(heard, event("evt_2", "refund.created", refund(id="re_2", amount="20")))
    (entry,) = await _queue(heard)
    assert entry["seen"] == 1


async def test_a_conversion_without_its_payment_comes_before_a_person_after_an_hour(heard: Desk) -> None:
    await _send(heard, event("evt_1", "invoice.paid", invoice()))
    await _resolve(heard)
    assert await _queue(heard) == []
    async with heard.database.transaction() as connection:
        await connection.execute(text("UPDATE source_reading SET read_at = read_at - interval '61 minutes'"))
    await _resolve(heard)
    (entry,) = await _queue(heard)
    assert "waits for the event that tells of which order 'payment of in_1' is" in entry["about"]


async def test_a_fact_that_the_source_may_not_tell_is_not_recorded(heard: Desk) -> None:
    narrow = replace(connected(), rights=rights(("acme/stripe",), ("conversion.reversed",)))
    heard.app.state.parts = replace(heard.app.state.parts, event_sources={"stripe-orders": narrow})
    answer = await _send(heard, LIFE[0])
    assert answer.json()["event"] == "parked"
    assert await _facts(heard, "acme/stripe") == set()
    (entry,) = await _queue(heard)
    assert "may not be told" in entry["about"]


async def test_a_replay_repeats_and_shows_what_contradicts_the_record(heard: Desk) -> None:
    for each in LIFE:
        await _send(heard, each)
    await _resolve(heard)
    before = await _facts(heard, "acme/stripe-orders")
    again = (await _replay(heard, {"since": "2026-01-01T00:00:00Z"})).json()
    assert (again["recorded"], again["repeated"], again["problems"], again["next"]) == (0, 13, [], None)
    other = replace(MAPPING, source="acme/stripe-orders", kinds={"payment": "account_opened"})
    heard.app.state.parts = replace(
        heard.app.state.parts, event_sources={"stripe-orders": connected("stripe-orders", other)}
    )
    contradicted = (await _replay(heard, {})).json()
    assert [each["event"] for each in contradicted["problems"]] == ["evt_1"]
    assert "was recorded before with another payload" in contradicted["problems"][0]["why"]
    assert await _facts(heard, "acme/stripe-orders") == before


async def test_trying_shows_the_facts_and_stores_nothing(heard: Desk) -> None:
    answer = await heard.api.post("/v1/sources/stripe-orders/try", json=dict(LIFE[0]), headers=heard.bearer("paula"))
    (tried,) = answer.json()["events"]
    assert (tried["event"], tried["outcome"], tried["problems"]) == ("evt_1", "read", [])
    assert [fact["type"] for fact in tried["facts"]] == ["referral.claimed", "conversion.recorded"]
    assert await _rows(heard, "SELECT 1 FROM source_event") == []
    unknown = await heard.api.post("/v1/sources/stripe-order/try", json={}, headers=heard.bearer("paula"))
    assert "did you mean 'stripe-orders'?" in unknown.json()["detail"]


async def test_only_an_administrator_replays_and_pulls_and_only_deciders_try(heard: Desk) -> None:
    await heard.add_user("robot")
    for path, user in (("replay", "paula"), ("pull", "paula"), ("try", "robot")):
        answer = await heard.api.post(f"/v1/sources/stripe-orders/{path}", json={}, headers=heard.bearer(user))
        assert answer.status_code == 403


async def test_a_company_that_sells_through_two_systems_counts_one_refund_once(heard: Desk) -> None:
    """The shop's own system tells of the order and of the refund under ids of its own; Stripe names the same order."""
    mapping = replace(MAPPING, source="acme/stripe-orders", paths={Field.ORDER: Path("metadata.order_id")})
    heard.app.state.parts = replace(
        heard.app.state.parts, event_sources={"stripe-orders": connected("stripe-orders", mapping)}
    )
    await heard.tell([
        _shop("s-1", "referral.sent", "2026-05-20T10:00:00Z", referral="r1", program="acme-friends", referrer="dexter",
              channel="email", referee={"email": "brie@example.com"}),
        _shop("s-2", "referral.claimed", "2026-05-21T10:00:00Z", referral="r1", referee={"email": "brie@example.com"}),
        _shop("s-3", "conversion.recorded", "2026-06-01T14:00:00Z", order="A-17", kind="purchase",
              customer={"customer": "cus_Brie", "email": "brie@example.com"}, amount="80.00", currency="USD"),
        _shop("s-4", "conversion.reversed", "2026-06-02T14:00:00Z", order="A-17", reversal="shop-refund-9",
              kind="refund", amount="20.00"),
    ])  # fmt: skip
    await _send(heard, event("evt_2", "refund.created", refund()))
    await _send(heard, event("evt_1", "checkout.session.completed", session(metadata={"order_id": "A-17"})))
    await _resolve(heard)
    await heard.judge("r1")
    shown = (await heard.get("/v1/referrals/r1")).json()
    assert shown["conversion"]["net_minor"] == 6000


def _shop(name: str, of_type: str, at: str, /, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": name, "source": "acme/shop", "type": of_type, "time": at, "data": data}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(["id", "created", "livemode", "type", "data", "account"])
_INNER = st.sampled_from(["id", "amount", "currency", "created", "metadata", "payment_intent", "status", "mode"])


async def test_whatever_is_signed_is_answered_and_never_breaks_anything(heard: Desk) -> None:
    @settings(max_examples=60)
    @given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()), _FIELDS, _INNER, _JSON)
    def fuzz(body: bytes, outer: str, inner: str, value: Any) -> None:
        bent = json.loads(json.dumps(LIFE[len(body) % len(LIFE)]))
        bent["id"] = f"evt_{len(bodies)}"
        (bent if len(body) % 2 else bent["data"]["object"])[outer if len(body) % 2 else inner] = value
        bodies.extend((body, json.dumps(bent).encode()))

    bodies: list[bytes] = []
    await asyncio.to_thread(fuzz)
    for body in bodies:
        answer = await _raw(heard, body)
        assert answer.status_code == 200, (body, answer.text)


async def _replay(desk: Desk, asked: Mapping[str, Any]) -> httpx.Response:
    return await desk.api.post("/v1/sources/stripe-orders/replay", json=dict(asked), headers=desk.bearer("ada"))


def test_a_source_shows_no_secret() -> None:
    assert SECRET not in repr(connected())
    assert isinstance(MAPPING, SourceMapping)


async def test_an_event_that_cannot_be_read_keeps_its_name_and_type(heard: Desk) -> None:
    poison = event("evt_9", "refund.created", refund(amount="20"))
    answers = [await _send(heard, {**poison, "pending_webhooks": number}) for number in (2, 1)]
    assert [each.json()["event"] for each in answers] == ["parked", "repeated"]
    assert [tuple(row) for row in await _rows(heard, "SELECT event_id, type FROM source_event")] == [
        ("evt_9", "refund.created")
    ]


async def test_an_event_costs_few_statements_and_one_commit(heard: Desk) -> None:
    await _send(heard, LIFE[0])
    for document, most in ((event("evt_20", "refund.created", refund(id="re_20")), 8), (LIFE[0], 1)):
        with counted() as sent:
            answer = await _send(heard, document)
        assert answer.status_code == 200
        assert (len(sent.statements) <= most, sent.commits) == (True, 1), str(sent)


async def test_many_events_of_one_request_are_told_apart(heard: Desk) -> None:
    mapping = SourceMapping(source="acme/crm")
    may = rights((mapping.source,), ("customer.*",))
    crm = ConnectedSource("crm", CloudEvents(), mapping, may, ("t-1",))
    heard.app.state.parts = replace(heard.app.state.parts, event_sources={"crm": crm})
    about = {
        "specversion": "1.0",
        "source": "acme/crm",
        "type": "customer.issue_opened",
        "time": "2026-06-01T14:00:00Z",
    }
    good = [
        {**about, "id": f"i-{number}", "data": {"customer": {"customer": "c-1"}, "issue": f"{number}"}}
        for number in range(3)
    ]
    batch = [good[0], {**good[1], "time": None}, good[2], good[0], {**about, "id": "i-9", "type": "ticket.seen"}, 7]
    answer = await heard.api.post("/v1/webhooks/crm", json=batch, headers={"authorization": "Bearer t-1"})
    told = answer.json()
    assert told.pop("why").startswith("customer.issue_opened: time: is required")
    assert told == {
        "event": "parked", "facts": 2, "events": {"ignored": 1, "parked": 2, "recorded": 2, "repeated": 1},
    }  # fmt: skip
    again = await heard.api.post("/v1/webhooks/crm", json=batch, headers={"authorization": "Bearer t-1"})
    assert (again.json()["event"], again.json()["facts"]) == ("repeated", 0)
