"""What the sandboxes of Shopify and Stripe Checkout send in the demo, and what the local stack reads of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from referral_rewards.config.event_sources import load
from referral_rewards.domain.errors import NotGenuine
from referral_rewards.local import event_sources
from referral_rewards.local.demo.script import Script
from referral_rewards.local.sandbox.shops.delivery import (
    SHOPIFY,
    STRIPE,
    Delivery,
    NotTaken,
    as_they_come,
    deliver,
    signing,
)
from referral_rewards.loopback import Message, Receive, Send, body_of, reply, served
from referral_rewards.vendors.port import Told

SALES = Script.load().sales


def told(delivery: Delivery, secrets: Mapping[str, str]) -> Told:
    signed = signing(secrets)[delivery.source](delivery.body, datetime.now(UTC))
    headers = {name.lower(): value for name, value in {**delivery.headers, **signed}.items()}
    return Told(delivery.body, headers)


def test_the_sources_of_the_stack_take_every_delivery_and_none_signed_otherwise(tmp_path: Path) -> None:
    sources, secrets = load(event_sources.written(tmp_path)), event_sources.secrets_of(tmp_path)
    for delivery in SALES.deliveries:
        source = sources[delivery.source]
        source.verify(told(delivery, secrets), datetime.now(UTC))
        assert source.read(told(delivery, secrets)).event_id
        with pytest.raises(NotGenuine):
            source.verify(told(delivery, dict.fromkeys(secrets, "another")), datetime.now(UTC))
    assert {each.source for each in SALES.deliveries} == {SHOPIFY, STRIPE} == set(sources)


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    first = event_sources.secrets_of(tmp_path)
    assert event_sources.secrets_of(tmp_path) == first
    assert len(set(first.values())) == 2
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}
    said = event_sources.written(tmp_path).read_text()
    assert not any(secret in said for secret in first.values())


def test_deliveries_come_shuffled_and_some_twice_always_the_same_for_a_seed() -> None:
    once = [Delivery(SHOPIFY, bytes([number])) for number in range(10)]
    come = as_they_come(once, 1)
    assert come == as_they_come(once, 1)
    assert as_they_come(once, 2) != come != once
    assert sorted(come) == sorted([*once, once[0], once[3], once[6], once[9]])


@pytest.mark.parametrize(("statuses", "takes"), [([503, 200], True), ([401], False), ([422], False)])
async def test_only_what_was_not_stored_is_sent_again(statuses: list[int], takes: bool) -> None:
    got: list[tuple[str, bytes, Headers]] = []

    async def api(scope: Message, receive: Receive, send: Send) -> None:
        got.append((scope["path"], await body_of(receive), Headers(scope=scope)))
        await reply(send, statuses[len(got) - 1], b'{"event": "recorded"}')

    one = SALES.deliveries[0]
    async with served(api) as url:
        sending: Any = deliver(url, [one], signing({SHOPIFY: "a", STRIPE: "b"}))
        if takes:
            assert dict(await sending) == {"recorded": 1}
        else:
            with pytest.raises(NotTaken, match=str(statuses[0])):
                await sending
    assert [(path, body) for path, body, _ in got] == [(f"/v1/webhooks/{one.source}", one.body)] * len(statuses)
