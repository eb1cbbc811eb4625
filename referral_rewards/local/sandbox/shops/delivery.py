"""Webhooks on their way: signed when they are sent, in no order, some of them twice, as real ones come."""

import asyncio
import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, NamedTuple

import httpx

from referral_rewards.local.sandbox.provider import encoded
from referral_rewards.local.sandbox.webhooks import Sign, as_stripe

#: Where webhooks go to, followed by the name of the source.
WEBHOOKS: Final = "/v1/webhooks"
#: The names of the sources, as the local stack sets them up.
SHOPIFY: Final = "shop"
STRIPE: Final = "stripe-orders"
_PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)
_PATIENCE_SECONDS: Final = 30.0


class Delivery(NamedTuple):
    """A webhook to a source, not signed yet."""

    source: str
    body: bytes
    headers: Mapping[str, str] = {}

    @classmethod
    def of(cls, source: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> "Delivery":
        """Return the webhook with a document as its body."""
        return cls(source, encoded(document), {"content-type": "application/json", **(headers or {})})


class NotTaken(Exception):
    """A webhook that was answered with an error."""


def as_shopify(secret: str) -> Sign:
    """Return the function that signs as Shopify does: the body and nothing else.

    https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
    """

    def sign(body: bytes, at: datetime) -> Mapping[str, str]:
        digest = hmac.digest(secret.encode(), body, hashlib.sha256)
        return {"X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode()}

    return sign


def signing(secrets: Mapping[str, str]) -> Mapping[str, Sign]:
    """Return the functions that sign, by the names of the sources, whose secrets are given."""
    return {SHOPIFY: as_shopify(secrets[SHOPIFY]), STRIPE: as_stripe(secrets[STRIPE])}


def as_they_come(deliveries: Sequence[Delivery], seed: int) -> list[Delivery]:
    """Return the webhooks in another order, every third of them twice; always the same for a seed."""
    chance = Random(seed)  # noqa: S311 (it only has to be the same again)
    come = [*deliveries, *deliveries[::3]]
    chance.shuffle(come)
    return come


async def deliver(api: str, deliveries: Sequence[Delivery], signs: Mapping[str, Sign]) -> Counter[str]:
    """Post webhooks one after another, and return how often each answer came. A 503 is sent again.

    Raises:
        NotTaken: for any other answer than success.
    """
    answers = Counter[str]()
    async with httpx.AsyncClient(base_url=api, trust_env=False, timeout=_PATIENCE_SECONDS) as client:
        for each in deliveries:
            answers[await _post(client, each, signs[each.source])] += 1
    return answers


async def _post(client: httpx.AsyncClient, delivery: Delivery, sign: Sign) -> str:
    for pause_seconds in (*_PAUSES_SECONDS, None):
        headers = {**delivery.headers, **sign(delivery.body, datetime.now(UTC))}
        answer = await client.post(f"{WEBHOOKS}/{delivery.source}", content=delivery.body, headers=headers)
        if answer.is_success:
            return str(answer.json()["event"])
        if pause_seconds is None or answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        await asyncio.sleep(pause_seconds)
    raise NotTaken(f"a webhook to {delivery.source} was answered with {answer.status_code}: {answer.text[:200]}")
