"""A provider's event is taken only as the provider signed it: whatever else is said of a payout wakes nobody."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from referral_rewards.domain.errors import NotGenuine, OutsideSilent, RequestInvalid
from referral_rewards.domain.payouts.provider_events import ProviderEvent, payout_in
from referral_rewards.local.sandbox import certificates, webhooks
from referral_rewards.loopback import Message, Receive, Send, reply, served
from referral_rewards.rails import asking
from referral_rewards.rails.webhooks.connected import connected
from referral_rewards.rails.webhooks.port import Webhook
from referral_rewards.rails.webhooks.stripe import StripeWebhook
from referral_rewards.rails.webhooks.tremendous import TremendousWebhook

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PAYOUT = UUID("324cbc60-5abd-5b61-bf1f-358a2f71efc9")
SECRET = "whsec_one"


def _body(**parts: Any) -> bytes:
    thing = {"id": "tr_1", "transfer_group": f"{PAYOUT}-2", "metadata": {"payout": str(PAYOUT)}}
    event = {"id": "evt_1", "type": "transfer.created", "data": {"object": thing}}
    return json.dumps(event | parts).encode()


def _signature(body: bytes, at: datetime = NOW, secret: str = SECRET, stamp: str | None = None) -> str:
    stamp = stamp or str(int(at.timestamp()))
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def _header(body: bytes, at: datetime = NOW, *signatures: str) -> str:
    return ",".join([f"t={int(at.timestamp())}", *(f"v1={each}" for each in signatures or (_signature(body, at),))])


async def test_an_event_of_stripe_names_its_payout() -> None:
    body = _body()
    event = await StripeWebhook(SECRET).read(body, {"stripe-signature": _header(body)}, NOW)
    assert event == ProviderEvent("stripe", "evt_1", "transfer.created", "tr_1", PAYOUT, ("tr_1",))


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("none", ""),
        ("no stamp", f"v1={_signature(_body())}"),
        ("two stamps", f"t=1,{_header(_body())}"),
        ("no signature", f"t={int(NOW.timestamp())}"),
        ("an older version's", f"t={int(NOW.timestamp())},v0={_signature(_body())}"),
        ("of another secret", _header(_body(), NOW, _signature(_body(), secret="whsec_two"))),
        ("of another body", _header(_body(), NOW, _signature(_body(id="evt_2")))),
        ("of another time", f"t={int(NOW.timestamp()) + 1},v1={_signature(_body())}"),
        ("of the empty secret", _header(_body(), NOW, _signature(_body(), secret=""))),
        ("no hexadecimal", _header(_body(), NOW, "ä" * 64)),
        ("a stamp of letters", f"t=soon,v1={_signature(_body(), stamp='soon')}"),
        ("a stamp without an end", f"t={'9' * 400},v1={_signature(_body(), stamp='9' * 400)}"),
        ("of figures of another script", f"t=١٢٣,v1={_signature(_body(), stamp='١٢٣')}"),
        ("of 301 s ago", _header(_body(), NOW - timedelta(seconds=301))),
        ("of 301 s ahead", _header(_body(), NOW + timedelta(seconds=301))),
        ("too many", _header(_body(), NOW, *["0" * 64] * 10, _signature(_body()))),
    ],
    ids=lambda each: each if len(each) < 40 else "",
)
async def test_a_signature_that_is_not_stripes_of_now_is_refused(name: str, header: str) -> None:
    with pytest.raises(NotGenuine):
        await StripeWebhook(SECRET).read(_body(), {"stripe-signature": header}, NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
async def test_five_minutes_either_way_are_now(seconds: int) -> None:
    body, at = _body(), NOW + timedelta(seconds=seconds)
    assert await StripeWebhook(SECRET).read(body, {"stripe-signature": _header(body, at)}, NOW) is not None


async def test_one_of_several_signatures_suffices_while_a_secret_is_rolled() -> None:
    body = _body()
    header = _header(body, NOW, _signature(body, secret="whsec_old"), _signature(body))
    assert await StripeWebhook(SECRET).read(body, {"stripe-signature": header}, NOW) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'"text"',
        b"\xff",
        _body(id=None),
        _body(type=7),
        _body(id="a\x00b"),
        _body(data=[]),
        b"[" * 90_000,
    ],
    ids=lambda each: each[:12].decode("latin-1"),
)
async def test_what_is_signed_and_of_no_form_is_refused_without_a_trace_of_ours(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        await StripeWebhook(SECRET).read(body, {"stripe-signature": _header(body)}, NOW)


@pytest.mark.parametrize("kind", ["invoice.paid", "charge.refunded", "customer.created"])
async def test_events_that_are_about_no_payout_are_ignored(kind: str) -> None:
    body = _body(type=kind)
    assert await StripeWebhook(SECRET).read(body, {"stripe-signature": _header(body)}, NOW) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (str(PAYOUT), PAYOUT),
        (f"{PAYOUT}-1", PAYOUT),
        (f"{PAYOUT}-12", PAYOUT),
        (f"{PAYOUT}-", None),
        (f"x{PAYOUT}", None),
        (str(PAYOUT).upper(), None),
        (PAYOUT.hex, None),
        (f"{PAYOUT}-" + "9" * 40, None),
        (None, None),
        (7, None),
        ({}, None),
    ],
)
def test_a_payout_is_named_by_its_id_or_a_key_of_it(text: object, found: UUID | None) -> None:
    assert payout_in(text) == found


def _tremendous(event: str = "ORDERS.APPROVED") -> bytes:
    payload = {"resource": {"id": "ORDER1", "type": "orders"}, "meta": {}}
    return json.dumps({"event": event, "uuid": "u-1", "created_utc": "2026-07-01", "payload": payload}).encode()


async def test_an_event_of_tremendous_names_its_order() -> None:
    headers = webhooks.as_tremendous("key")(_tremendous(), NOW)
    event = await TremendousWebhook("key").read(_tremendous(), _lower(headers), NOW)
    assert event == ProviderEvent("tremendous", "u-1", "ORDERS.APPROVED", "ORDER1", None, ("ORDER1",))
    ignored = _tremendous("INVOICES.PAID")
    assert (
        await TremendousWebhook("key").read(ignored, _lower(webhooks.as_tremendous("key")(ignored, NOW)), NOW) is None
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha256=",
        hmac.new(b"key", _tremendous(), hashlib.sha256).hexdigest(),
        "sha1=" + hmac.new(b"key", _tremendous(), hashlib.sha1).hexdigest(),
        "sha256=" + hmac.new(b"other", _tremendous(), hashlib.sha256).hexdigest(),
        "sha256=" + hmac.new(b"", _tremendous(), hashlib.sha256).hexdigest(),
        "sha256=" + hmac.new(b"key", _tremendous() + b" ", hashlib.sha256).hexdigest(),
    ],
)
async def test_a_signature_that_is_not_tremendous_is_refused(header: str) -> None:
    with pytest.raises(NotGenuine):
        await TremendousWebhook("key").read(_tremendous(), {"tremendous-webhook-signature": header}, NOW)


@dataclass
class _PayPal:
    """Where PayPal shows its certificate, and the webhook that believes in its root."""

    webhook: Webhook
    url: str
    made: certificates.Certificates
    shown: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    slow: dict[str, asyncio.Event] = field(default_factory=dict)

    def headers(self, body: bytes, webhook_id: str = "WH-1", at: str | None = None, **other: str) -> Mapping[str, str]:
        sign = webhooks.as_paypal(webhook_id, self.made.key, at or f"{self.url}/v1/notifications/certs/CERT-1")
        return _lower(sign(body, NOW)) | other


@asynccontextmanager
async def _paypal(folder: Path, **made: Any) -> AsyncIterator[_PayPal]:
    ours = certificates.certificates(**made)
    (folder / "root.pem").write_bytes(ours.root)
    shown = {"CERT-1": (200, ours.shown)}
    asked: list[str] = []
    slow: dict[str, asyncio.Event] = {}

    async def show(scope: Message, receive: Receive, send: Send) -> None:
        name = scope["path"].rpartition("/")[2]
        asked.append(name)
        if name in slow:
            await slow[name].wait()
        status, body = shown.get(name, (404, b""))
        await reply(send, status, body)

    async with served(show) as url, asking.client() as client:
        prefix = f"{url}/v1/notifications/certs/"
        found = connected({"paypal": ["WH-1"]}, client, certificates=prefix, roots=folder / "root.pem")
        yield _PayPal(found["paypal"], url, ours, shown, asked, slow)


def _item(**parts: Any) -> bytes:
    item = {"sender_item_id": str(PAYOUT), "receiver": "BRIEBRIEBRIE1"}
    resource = {"payout_item_id": "ITEM1", "payout_batch_id": "BATCH1", "payout_item": item}
    event = {"id": "WH-2", "event_type": "PAYMENT.PAYOUTS-ITEM.SUCCEEDED", "resource": resource}
    return json.dumps(event | parts).encode()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


#: Certificates are valid on the wall's clock.
def _now() -> datetime:
    return datetime.now(UTC)


async def test_an_event_of_paypal_names_its_payout_and_its_certificate_is_asked_for_once(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        for _ in range(3):
            event = await paypal.webhook.read(_item(), paypal.headers(_item()), _now())
        kind = "PAYMENT.PAYOUTS-ITEM.SUCCEEDED"
        assert event == ProviderEvent("paypal", "WH-2", kind, "ITEM1", PAYOUT, ("ITEM1", "BATCH1"))
        assert paypal.asked == ["CERT-1"]
        ignored = _item(event_type="CHECKOUT.ORDER.APPROVED")
        assert await paypal.webhook.read(ignored, paypal.headers(ignored), _now()) is None


async def test_a_signature_that_is_not_paypals_is_refused(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        good = paypal.headers(_item())
        wrong: list[Mapping[str, str]] = [
            {},
            {**good, "paypal-transmission-sig": ""},
            {**good, "paypal-transmission-sig": base64.b64encode(b"0" * 256).decode()},
            {**good, "paypal-transmission-sig": "not base64"},
            {**good, "paypal-transmission-id": "another"},
            {**good, "paypal-transmission-time": "2026-07-02T12:00:00+00:00"},
            {**good, "paypal-auth-algo": "SHA1withRSA"},
            paypal.headers(_item(), webhook_id="WH-of-somebody-else"),
            paypal.headers(_item(id="WH-3")),
        ]
        for headers in wrong:
            with pytest.raises(NotGenuine):
                await paypal.webhook.read(_item(), headers, _now())


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://evil.example/v1/notifications/certs/CERT-1",
        "{url}/v1/notifications/certs/../../CERT-1",
        "{url}/v1/notifications/certs/CERT-1?to=https://evil.example",
        "{url}/v1/notifications/certs/",
        "{url}@evil.example/v1/notifications/certs/CERT-1",
        "{url}.evil.example/v1/notifications/certs/CERT-1",
        "file:///etc/passwd",
    ],
)
@pytest.mark.suite_has(4)
async def test_no_certificate_is_fetched_from_anywhere_but_paypal(address: str, tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        headers = {**paypal.headers(_item()), "paypal-cert-url": address.format(url=paypal.url)}
        with pytest.raises(NotGenuine):
            await paypal.webhook.read(_item(), headers, _now())
        assert paypal.asked == []


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"name": "messageverificationcerts.paypal.com"}, None),
        ({"name": "evil.example"}, "not PayPal's"),
        ({"name": "messageverificationcerts.paypal.com.evil.example"}, "not PayPal's"),
        ({"lasts": timedelta(seconds=-1)}, "not valid"),
    ],
    ids=str,
)
@pytest.mark.suite_has(2)
async def test_a_certificate_counts_only_if_it_is_made_out_to_paypal_and_valid(
    made: dict[str, Any], why: str | None, tmp_path: Path
) -> None:
    async with _paypal(tmp_path, **made) as paypal:
        if why is None:
            assert await paypal.webhook.read(_item(), paypal.headers(_item()), _now()) is not None
            return
        with pytest.raises(NotGenuine, match=why):
            await paypal.webhook.read(_item(), paypal.headers(_item()), _now())


async def test_a_certificate_under_another_root_does_not_count(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        other = certificates.certificates()
        paypal.shown["CERT-2"] = (200, other.shown)
        paypal.shown["CERT-3"] = (200, b"no certificate")
        for name in ("CERT-2", "CERT-3"):
            sign = webhooks.as_paypal("WH-1", other.key, f"{paypal.url}/v1/notifications/certs/{name}")
            with pytest.raises(NotGenuine):
                await paypal.webhook.read(_item(), _lower(sign(_item(), NOW)), _now())


async def test_a_certificate_that_cannot_be_had_is_asked_for_again_in_a_minute_and_no_sooner(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        right = paypal.shown.pop("CERT-1")
        now = _now()
        for _ in range(3):
            with pytest.raises(OutsideSilent):
                await paypal.webhook.read(_item(), paypal.headers(_item()), now)
        assert paypal.asked == ["CERT-1"]
        paypal.shown["CERT-1"] = right
        assert await paypal.webhook.read(_item(), paypal.headers(_item()), now + timedelta(minutes=1)) is not None


@pytest.mark.parametrize(
    "shown",
    [certificates.certificates().shown, certificates.certificates(name="evil.example").shown, b"no certificate", b""],
    ids=["another root", "another name", "no certificate", "nothing"],
)
@pytest.mark.suite_has(2)
async def test_a_refused_certificate_is_asked_for_once_in_ten_minutes(shown: bytes, tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        right, now = paypal.shown["CERT-1"], _now()
        paypal.shown["CERT-1"] = (200, shown)
        for after in (timedelta(0), timedelta(seconds=1), timedelta(minutes=10) - timedelta(microseconds=1)):
            with pytest.raises(NotGenuine):
                await paypal.webhook.read(_item(), paypal.headers(_item()), now + after)
        assert paypal.asked == ["CERT-1"]
        paypal.shown["CERT-1"] = right
        assert await paypal.webhook.read(_item(), paypal.headers(_item()), now + timedelta(minutes=10)) is not None


async def test_events_at_once_ask_for_a_certificate_once_whatever_it_is(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        paypal.shown["CERT-2"] = (200, certificates.certificates().shown)
        certs = [f"{paypal.url}/v1/notifications/certs/CERT-{number}" for number in (1, 2, 3)] * 5
        answers = await asyncio.gather(
            *(paypal.webhook.read(_item(), paypal.headers(_item(), at=at), _now()) for at in certs),
            return_exceptions=True,
        )
        assert sorted(paypal.asked) == ["CERT-1", "CERT-2", "CERT-3"]
        assert [type(answer) for answer in answers] == [ProviderEvent, NotGenuine, OutsideSilent] * 5


async def test_an_address_that_is_slow_to_answer_holds_up_no_event_of_another(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        forged = paypal.headers(_item(), at=f"{paypal.url}/v1/notifications/certs/CERT-2")
        paypal.slow["CERT-2"] = asyncio.Event()
        waiting = asyncio.create_task(paypal.webhook.read(_item(), forged, _now()))
        while paypal.asked != ["CERT-2"]:
            await asyncio.sleep(0)
        assert await paypal.webhook.read(_item(), paypal.headers(_item()), _now()) is not None
        assert not waiting.done()
        paypal.slow["CERT-2"].set()
        with pytest.raises(OutsideSilent):
            await waiting


async def test_whoever_hangs_up_takes_no_answer_from_the_others(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        paypal.slow["CERT-1"] = asyncio.Event()
        reading = [asyncio.create_task(paypal.webhook.read(_item(), paypal.headers(_item()), _now())) for _ in range(2)]
        while paypal.asked != ["CERT-1"]:
            await asyncio.sleep(0)
        reading[0].cancel()
        paypal.slow["CERT-1"].set()
        assert await reading[1] is not None
        assert paypal.asked == ["CERT-1"]


async def test_invented_addresses_keep_no_certificate_that_was_genuine_from_being_renewed(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        now = _now()
        assert await paypal.webhook.read(_item(), paypal.headers(_item()), now) is not None
        tomorrow = now + timedelta(hours=13)
        for number in range(30):
            headers = paypal.headers(_item(), at=f"{paypal.url}/v1/notifications/certs/CERT-x{number}")
            with pytest.raises(OutsideSilent):
                await paypal.webhook.read(_item(), headers, tomorrow)
        assert await paypal.webhook.read(_item(), paypal.headers(_item()), tomorrow) is not None


async def test_invented_addresses_make_us_ask_only_so_often(tmp_path: Path) -> None:
    async with _paypal(tmp_path) as paypal:
        now = _now()
        for number in range(50):
            headers = paypal.headers(_item(), at=f"{paypal.url}/v1/notifications/certs/CERT-x{number}")
            with pytest.raises(OutsideSilent):
                await paypal.webhook.read(_item(), headers, now)
        assert len(paypal.asked) == 20
