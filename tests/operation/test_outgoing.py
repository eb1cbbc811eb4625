"""Requests to providers and sources are counted by what became of them."""

import asyncio
from typing import Any

import httpx
import pytest

from referral_rewards.loopback import served
from referral_rewards.operation.outgoing import Reception, reception, transport
from referral_rewards.rails.access import Access, TremendousAccess
from referral_rewards.rails.connected import outside
from tests.rails.cases import Case
from worker.watched import Watched


@pytest.mark.parametrize(
    ("status", "became"),
    [
        (200, "answered"),
        (302, "answered"),
        (400, "refused"),
        (401, "denied"),
        (403, "denied"),
        (404, "refused"),
        (429, "limited"),
        (500, "failed"),
        (503, "failed"),
    ],
)
def test_a_status_says_what_became_of_a_request(status: int, became: str) -> None:
    assert reception(status) == became


async def _refuses(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def test_a_look_at_a_provider_is_counted_under_its_name() -> None:
    watched = Watched()
    request = Case(None, None, "brie@example.com", list).request()  # type: ignore[arg-type]
    async with (
        served(_refuses) as url,
        outside(Access(tremendous=TremendousAccess("k", "s", "c", url)), watched.noting) as rails,
    ):
        await rails["tremendous"].look_up(request, "key")
        await rails["tremendous"].pay(request, "key")
    told = watched.exposition().decode()
    for line in (
        'referrals_worker_requests_total{act="look",reception="denied",to="tremendous"} 1.0',
        'referrals_worker_requests_total{act="send",reception="denied",to="tremendous"} 1.0',
        'referrals_worker_requests_total{act="send",reception="silent",to="tremendous"} 0.0',
        'referrals_worker_request_seconds_count{to="tremendous"} 2.0',
    ):
        assert line in told.splitlines()


async def test_a_request_that_is_given_up_or_reaches_nobody_was_met_with_silence() -> None:
    noted: list[tuple[str, Reception]] = []

    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async with served(never) as url:
        over = transport(lambda act, became, seconds: noted.append((act, became)))
        async with httpx.AsyncClient(transport=over) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.get(url)
            with pytest.raises(httpx.ConnectError):
                await client.post("http://127.0.0.1:1")
    assert noted == [("look", Reception.SILENT), ("send", Reception.SILENT)]
