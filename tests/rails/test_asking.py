"""A provider that misbehaves, or something that answers in its place: nothing raises, and nothing is refused by it."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from referral_rewards.domain.payouts.states import Declined, Misconfigured, PaymentRequest, Unknown
from referral_rewards.loopback import reply, served
from referral_rewards.rails import asking, stripe_calls
from referral_rewards.rails.access import Access, PayPalAccess, StripeAccess, TremendousAccess
from referral_rewards.rails.asking import trouble, unread
from referral_rewards.rails.connected import outside
from tests.rails.cases import OUTSIDE, Case, key

DESTINATIONS = {"paypal_payouts": "BRIEBRIEBRIE1", "stripe_transfer": "acct_brie", "tremendous": None}


class Answers:
    """A server that answers everything alike."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        self.asked = 0
        self._status, self._body, self._headers = status, body, headers

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        self.asked += 1
        await reply(send, self._status, self._body, **self._headers)


@asynccontextmanager
async def _rails(url: str) -> Any:
    access = Access(
        StripeAccess("a key", url), PayPalAccess("an id", "a secret", url), TremendousAccess("a key", "s", "c", url)
    )
    async with outside(access) as rails:
        yield rails


def _asked(name: str) -> PaymentRequest:
    return Case(None, None, DESTINATIONS.get(name, "cus_brie"), list).request()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (201, b"{}"),
        (200, b'{"object": "list", "data": null, "order": null, "batch_header": 7}'),
        (200, b"[" * 100_000),
        (200, b'{"id": "' + b"x" * 2_000_001 + b'"}'),
        (302, b""),
        (307, b"{}"),
        (400, b"<html>a gateway's own page</html>"),
        (404, b"not here"),
        (404, b"{}"),
        (405, b"{}"),
        (408, b"{}"),
        (422, b"null"),
        (500, b"\xff\xfe"),
        (502, b""),
        (503, b"{}"),
    ],
)
@pytest.mark.suite_has(19)
async def test_what_is_no_answer_of_the_provider_refuses_nothing(name: str, status: int, body: bytes) -> None:
    async with served(Answers(status, body)) as url, _rails(url) as rails:
        asked = _asked(name)
        assert isinstance(await rails[name].pay(asked, key(asked)), Unknown)
        assert isinstance(await rails[name].look_up(asked, key(asked)), Unknown | None)
        assert isinstance(await rails[name].poll(asked, key(asked), "a/../reference?x"), Unknown)


@pytest.mark.parametrize("name", OUTSIDE)
async def test_a_redirect_is_not_followed_with_the_key_in_hand(name: str) -> None:
    elsewhere = Answers(200, b"{}")
    async with (
        served(elsewhere) as there,
        served(Answers(307, b"", location=f"{there}/v1/transfers")) as url,
        _rails(url) as rails,
    ):
        asked = _asked(name)
        assert isinstance(await rails[name].pay(asked, key(asked)), Unknown)
    assert elsewhere.asked == 0


@pytest.mark.parametrize("name", OUTSIDE)
async def test_a_provider_that_is_nowhere_is_a_doubt(name: str) -> None:
    async with _rails("http://127.0.0.1:9") as rails:
        asked = _asked(name)
        assert isinstance(await rails[name].pay(asked, key(asked)), Unknown)
        assert isinstance(await rails[name].look_up(asked, key(asked)), Unknown)


async def test_every_try_is_one_request() -> None:
    """The SDK's own retries would hide attempts."""
    server = Answers(500, b'{"error": {"type": "api_error"}}')
    async with served(server) as url, _rails(url) as rails:
        asked = _asked("stripe_transfer")
        assert isinstance(await rails["stripe_transfer"].pay(asked, key(asked)), Unknown)
    assert server.asked == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        *[(status, "a code", Declined) for status in (400, 402, 404, 422)],
        *[(status, None, Unknown) for status in (400, 402, 404, 422)],
        *[(status, code, Misconfigured) for status in (401, 403) for code in ("a code", None)],
        *[(status, "a code", Unknown) for status in (0, 199, 200, 302, 405, 408, 409, 410, 425, 429, 500, 503, 599)],
    ],
)
def test_only_a_refusal_in_the_provider_s_own_words_is_one(status: int, code: str | None, kind: type) -> None:
    assert isinstance(trouble(status, code), kind)
    assert isinstance(unread(status, code), Misconfigured if kind is Misconfigured else Unknown)


async def test_what_stripe_is_told_of_this_machine_is_nothing() -> None:
    seen: list[dict[str, str]] = []

    async def server(scope: Any, receive: Any, send: Any) -> None:
        seen.append({name.decode().lower(): value.decode() for name, value in scope["headers"]})
        await reply(send, 500, b"{}")

    async with served(server) as url, asking.client() as client:
        api = stripe_calls.api(StripeAccess("a key", url), client)
        await stripe_calls.read(api.coupons.retrieve_async("c1"))
    (headers,) = seen
    assert headers["user-agent"] == "referral-rewards"
    assert headers["stripe-version"] == stripe_calls.VERSION
    assert not [name for name in headers if name.startswith("x-stripe-client")]


def test_no_secret_is_in_what_is_printed_of_an_access() -> None:
    access = Access(
        StripeAccess("sk_live_1"), PayPalAccess("an-id-1", "a-secret-1"), TremendousAccess("PROD_1", "s", "c")
    )
    for secret in ("sk_live_1", "an-id-1", "a-secret-1", "PROD_1"):
        assert secret not in repr(access)
