"""Any system's events, by Standard Webhooks and CloudEvents."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks

from referral_rewards.domain.errors import NotGenuine
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.vendors.cloud_events import CloudEvents
from referral_rewards.vendors.paths import Path
from referral_rewards.vendors.port import Field, SourceMapping, Told, Unreadable
from referral_rewards.vendors.standard_webhooks import StandardWebhooks

NOW = datetime(2026, 6, 1, 14, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MAPPING = SourceMapping(
    source="acme/billing",
    events={"order.paid": FactType.CONVERSION_RECORDED, "order.refunded": FactType.CONVERSION_REVERSED},
    kinds={"one_off": "purchase"},
    paths={Field.ORDER: Path("data.number"), Field.EMAIL: Path("data.buyer.email"), Field.KIND: Path("data.what")},
)
_DATA: Mapping[str, Any] = {
    "number": 4711, "buyer": {"email": "brie@example.com"}, "what": "one_off", "amount_minor": 8000, "currency": "USD",
}  # fmt: skip
PAID: Mapping[str, Any] = {"type": "order.paid", "timestamp": "2026-06-01T13:59:00Z", "data": _DATA}
OURS: Mapping[str, Any] = {
    "specversion": "1.0",
    "id": "b-1",
    "source": "acme/billing",
    "type": "conversion.reversed",
    "time": "2026-06-01T13:00:00Z",
    "data": {"order": "4711", "kind": "refund", "reversal": "rf-1", "amount": "20.00"},
}


def _standard(document: Mapping[str, Any], at: datetime = NOW) -> Told:
    """An event signed by the library of the specification."""
    body = json.dumps(document)
    signature = standardwebhooks.Webhook(SECRET).sign("msg_1", at, body)
    stamp = str(int(at.timestamp()))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1a,zz {signature}"}
    return Told(body.encode(), headers)


def test_a_text_that_was_cut_within_an_emoji_stops_no_batch_and_no_amount_is_rounded() -> None:
    data = '{"order": "4711", "note": "\\ud83d", "amount": 12345678901234567890.10}'
    batch = Told(f'[{json.dumps(OURS)}, {{"type": "x", "data": {data}}}]'.encode())
    first, second = CloudEvents().events(batch)
    assert json.loads(first.body) == OURS
    assert json.loads(second.body)["data"]["note"] == "\ud83d"
    assert json.loads(second.body)["data"]["amount"] == "12345678901234567890.10"


@pytest.mark.parametrize("minutes", [-6, -5, 0, 5, 6])
def test_standard_webhooks_are_verified_as_their_own_library_signs(minutes: int) -> None:
    request = _standard(PAID, NOW + timedelta(minutes=minutes))
    if abs(minutes) <= 5:
        StandardWebhooks().verify(("whsec_AAAA", SECRET), request, MAPPING, NOW)
        return
    with pytest.raises(NotGenuine):
        StandardWebhooks().verify((SECRET,), request, MAPPING, NOW)


@pytest.mark.parametrize("change", ["body", "id", "secret", "no signature", "no base64"])
def test_nothing_else_is_genuine(change: str) -> None:
    request, secret = _standard(PAID), SECRET
    if change == "body":
        request = request._replace(body=request.body + b" ")
    if change == "id":
        request = request._replace(headers={**request.headers, "webhook-id": "msg_2"})
    if change == "no signature":
        request = request._replace(headers={"webhook-id": "msg_1"})
    secret = {"secret": "whsec_AAAA", "no base64": "whsec_!"}.get(change, secret)
    with pytest.raises(NotGenuine):
        StandardWebhooks().verify((secret,), request, MAPPING, NOW)


def test_an_event_becomes_the_fact_that_the_mapping_names() -> None:
    reading = StandardWebhooks().read(_standard(PAID), MAPPING)
    (fact,) = reading.facts
    event = parse_event(fact)
    assert (reading.event_id, event.source, event.event_id, event.type) == (
        *("msg_1", "acme/billing", "msg_1"),
        FactType.CONVERSION_RECORDED,
    )
    assert event.public == {
        "order": "4711", "kind": "purchase", "customer": {}, "amount": "80.00", "currency": "USD",
    }  # fmt: skip
    assert event.data["customer"] == {"email": "brie@example.com"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"timestamp": None}, "time"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-06-01T13:59:00"}, "timestamp"),
        ({"type": None}, "type"),
        ({"data": {**_DATA, "amount_minor": "8000"}}, "amount_minor"),
        ({"data": {**_DATA, "currency": None}}, "currency"),
        ({"data": {**_DATA, "number": {"no": 1}}}, "order"),
    ],
)
def test_what_is_missing_is_named(change: Mapping[str, Any], where: str) -> None:
    with pytest.raises(Unreadable) as refused:
        StandardWebhooks().read(_standard({**PAID, **change}), MAPPING)
    assert refused.value.where == where


def test_a_type_without_a_fact_is_ignored() -> None:
    assert StandardWebhooks().read(_standard({**PAID, "type": "order.seen"}), MAPPING).ignored is not None


@pytest.mark.parametrize("mode", ["structured", "batch", "binary", "base64"])
def test_cloud_events_of_ours_are_facts_in_every_mode(mode: str) -> None:
    document = {name: value for name, value in OURS.items() if name != "data"}
    data = json.dumps(OURS["data"]).encode()
    request = {
        "structured": Told(json.dumps(OURS).encode()),
        "batch": Told(json.dumps([OURS]).encode()),
        "binary": Told(data, {f"ce-{name}": str(value) for name, value in document.items()}),
        "base64": Told(json.dumps({**document, "data_base64": base64.b64encode(data).decode()}).encode()),
    }[mode]
    (event,) = CloudEvents().events(request)
    reading = CloudEvents().read(event, MAPPING)
    assert (reading.event_id, dict(reading.facts[0])) == ("acme/billing b-1", OURS)


def test_another_systems_cloud_event_is_mapped() -> None:
    document = {**OURS, "type": "order.refunded", "data": {"number": "4711", "what": "refund", "reversal": "rf-1"}}
    (fact,) = CloudEvents().read(Told(json.dumps(document).encode()), MAPPING).facts
    assert (fact["source"], fact["id"], fact["type"]) == ("acme/billing", "acme/billing b-1", "conversion.reversed")
    assert fact["data"] == {"order": "4711", "kind": "refund", "reversal": "rf-1"}


@pytest.mark.parametrize(
    ("header", "told", "genuine"),
    [
        (None, {"authorization": "Bearer t-1"}, True),
        (None, {"authorization": "bearer t-2"}, True),
        (None, {"authorization": "Bearer t-3"}, False),
        (None, {"authorization": "Bearer é"}, False),
        (None, {}, False),
        ("x-token", {"x-token": "t-1"}, True),
        ("x-token", {"authorization": "Bearer t-1"}, False),
    ],
)
def test_cloud_events_come_with_a_token(header: str | None, told: Mapping[str, str], genuine: bool) -> None:
    request, mapping = Told(b"{}", told), replace(MAPPING, header=header)
    if genuine:
        CloudEvents().verify(("t-1", "t-2"), request, mapping, NOW)
        return
    with pytest.raises(NotGenuine):
        CloudEvents().verify(("t-1", "t-2"), request, mapping, NOW)
