"""A source over HTTP that misbehaves: it is unavailable, in one sentence, and nothing raises."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from referral_rewards.domain.referrals.inquiries import REGISTER, Answer
from referral_rewards.local.fake_source import FakeSource, as_app, body_of
from referral_rewards.loopback import App, served
from referral_rewards.sources.connecting import connected
from referral_rewards.sources.http import HttpSource
from referral_rewards.sources.port import Endpoint, Told
from tests.sources.told import LONG, SHORT, SOON, Misbehaving, asked, dripping, issue, purchase, silent

GOOD = body_of([purchase()])
#: A try, and two more.
TRIES = 3


def _said(told: Told) -> tuple[Answer, str]:
    assert told.answer.answer is not Answer.UNAVAILABLE or not told.facts
    return told.answer.answer, told.answer.sentence


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
async def test_a_passing_trouble_is_tried_through(status: int) -> None:
    server = Misbehaving((status, b"no"), (status, b"no"), (200, GOOD))
    async with asked(server) as source:
        assert (await source.order("o1")).answer.answer is Answer.CONFIRMED
    assert len(server.requests) == TRIES


@pytest.mark.parametrize("status", [500, 429])
async def test_a_lasting_trouble_is_told_after_three_tries(status: int) -> None:
    server = Misbehaving((status, b"no"))
    async with asked(server) as source:
        assert _said(await source.order("o1")) == (Answer.UNAVAILABLE, f"It answered {status}.")
    assert len(server.requests) == TRIES


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 301, 302, 304, 307])
async def test_what_another_try_would_not_change_is_told_at_once(status: int) -> None:
    server = Misbehaving((status, GOOD), (200, GOOD))
    why = ": our key is not accepted, or it may not read this." if status in (401, 403) else "."
    async with asked(server) as source:
        assert _said(await source.order("o1")) == (Answer.UNAVAILABLE, f"It answered {status}{why}")
    assert len(server.requests) == 1


async def test_a_redirect_is_not_followed_with_the_token_in_hand() -> None:
    elsewhere = Misbehaving((200, GOOD))
    async with served(elsewhere) as there:
        server = Misbehaving((302, b"", {"location": f"{there}/orders/o1"}))
        async with served(server) as url, connected({"shop": Endpoint(url, "secret")}) as sources:
            assert (await sources["shop"].order("o1")).answer.answer is Answer.UNAVAILABLE
    assert (len(server.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize(
    ("token", "sent"),
    [(None, None), ("secret", "Bearer secret"), ("sécret", "Bearer sécret")],
)
async def test_the_token_is_shown_with_every_request(token: str | None, sent: str | None) -> None:
    server = Misbehaving((200, GOOD))
    async with asked(server, token=token) as source:
        await source.order("o1")
        await source.customer("c-brie")
        await source.reachable()
    assert [path for path, _ in server.requests] == ["/orders/o1", "/customers/c-brie", "/"]
    assert [headers.get("authorization") for _, headers in server.requests] == [sent] * 3


async def test_a_served_source_that_asks_for_a_token_refuses_any_other() -> None:
    script = FakeSource("shop", [purchase()])
    for token, answer in (("right", Answer.CONFIRMED), ("wrong", Answer.UNAVAILABLE), (None, Answer.UNAVAILABLE)):
        async with asked(as_app(script, "right"), token=token) as source:
            assert (await source.order("o1")).answer.answer is answer


@pytest.mark.parametrize("server", [silent, dripping], ids=["silent", "never done"])
async def test_a_source_is_waited_for_so_long_and_no_longer(server: App) -> None:
    async with asked(server, patience=SHORT) as source:
        answer, sentence = _said(await source.order("o1"))
        assert answer is Answer.UNAVAILABLE
        assert sentence.startswith("It could not be reached (")


async def test_one_that_is_silent_once_is_tried_again() -> None:
    answering = as_app(FakeSource("shop", [purchase()]))
    asked_before = False

    async def silent_at_first(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked_before
        app, asked_before = answering if asked_before else silent, True
        # The first try is waited for not long, and the next as long as it takes.
        source._patience_seconds = LONG
        await app(scope, receive, send)

    async with asked(silent_at_first, patience=SHORT) as source:
        assert (await source.order("o1")).answer.answer is Answer.CONFIRMED


@asynccontextmanager
async def _at(url: str) -> AsyncIterator[HttpSource]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield HttpSource("shop", Endpoint(url), client, patience_seconds=LONG, pauses=SOON)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{closed}", "http://[", "http://127.0.0.1:99999", "http://a..b", "http://" + "a" * 64 + ".b",
     "ftp://127.0.0.1", "https://127.0.0.1:{closed}", "http://", "http://127.0.0.1:{closed}/ü"],
)  # fmt: skip
async def test_a_source_that_is_nowhere_could_not_be_reached(url: str) -> None:
    # Held as long as it is asked for, so that nobody else listens there; and no connection is taken.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        async with _at(url.format(closed=held.getsockname()[1])) as source:
            answer, sentence = _said(await source.order("o1"))
            assert answer is Answer.UNAVAILABLE
            assert sentence.startswith("It could not be reached (")
            assert sentence == await source.reachable()


async def test_one_that_hangs_up_could_not_be_reached() -> None:
    async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
    async with server, _at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as source:
        answer, _ = _said(await source.order("o1"))
        assert answer is Answer.UNAVAILABLE


def _with(**changes: Any) -> bytes:
    (document,) = json.loads(GOOD)["facts"]
    return json.dumps({"facts": [document | changes]}).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"", "not of the form", id="nothing"),
        pytest.param(b"<html>brie@example.com</html>", "not of the form", id="not JSON"),
        pytest.param(b"\xff\xfe{", "not of the form", id="not text"),
        pytest.param(b"[]", "not of the form", id="a list"),
        pytest.param(b"null", "not of the form", id="null"),
        pytest.param(b'{"fact": []}', "not of the form", id="another key"),
        pytest.param(b'{"facts": null}', "not of the form", id="null facts"),
        pytest.param(b'{"facts": 7}', "not of the form", id="a number of facts"),
        pytest.param(b"[" * 100_000, "not of the form", id="without a bottom"),
        pytest.param(b'{"facts": ' + b"9" * 5000 + b"}", "not of the form", id="a number without end"),
        pytest.param(b'{"facts": ["brie@example.com"]}', "told a fact that is none", id="a text for a fact"),
        pytest.param(_with(specversion="0.3"), "told a fact that is none", id="another version"),
        pytest.param(_with(time="yesterday"), "told a fact that is none", id="no time"),
        pytest.param(_with(type="order.paid"), "told a fact that is none", id="a type that we don't know"),
        pytest.param(_with(type=["order.paid"]), "told a fact that is none", id="a type that is none"),
        pytest.param(_with(data={"order": "o1"}), "told a fact that is none", id="half a fact"),
        pytest.param(_with(data={"order": "\ud800"}), "told a fact that is none", id="half a letter"),
        pytest.param(body_of([purchase("o2")]), "something else", id="another order"),
        pytest.param(body_of([purchase(), purchase("o2")]), "something else", id="another order too"),
        pytest.param(body_of([issue()]), "something else", id="a customer"),
    ],
)
async def test_an_answer_that_is_none_is_no_answer(body: bytes, why: str) -> None:
    """It is not tried again either: the source has a fault that another second does not mend."""
    server = Misbehaving((200, body))
    async with asked(server) as source:
        answer, sentence = _said(await source.order("o1"))
    assert answer is Answer.UNAVAILABLE
    assert why in sentence
    assert "brie" not in sentence
    assert len(server.requests) == 1


@pytest.mark.parametrize(("size", "answer"), [(1_000_000, Answer.CONFIRMED), (1_000_001, Answer.UNAVAILABLE)])
async def test_an_answer_is_of_a_megabyte_at_most(size: int, answer: Answer) -> None:
    async with asked(Misbehaving((200, GOOD.ljust(size)))) as source:
        told = await source.order("o1")
    assert told.answer.answer is answer
    if answer is Answer.UNAVAILABLE:
        assert told.answer.sentence == "Its answer is too long to be one."


async def test_facts_about_another_customer_are_no_answer() -> None:
    async with asked(Misbehaving((200, body_of([issue("c-mia")])))) as source:
        assert (await source.customer("c-brie")).answer.answer is Answer.UNAVAILABLE


@pytest.mark.parametrize(("status", "is_there"), [(200, True), (204, True), (404, True), (401, False), (500, False)])
async def test_it_is_there_if_it_answers_at_its_address(status: int, is_there: bool) -> None:
    async with asked(Misbehaving((status, b""))) as source:
        why = ": our key is not accepted, or it may not read this." if status == 401 else "."
        assert await source.reachable() == (None if is_there else f"It answered {status}{why}")


@pytest.mark.parametrize("path", ["", "/", "/v2/referrals", "/v2/referrals/"])
async def test_the_address_may_have_a_path_of_its_own(path: str) -> None:
    server = Misbehaving((200, GOOD))
    async with served(server) as url, _at(url + path) as source:
        await source.order("o1")
    assert [path for path, _ in server.requests] == [f"{path.rstrip('/')}/orders/o1"]


async def test_the_sources_of_an_installation_are_the_register_and_those_of_its_settings() -> None:
    async with (
        served(as_app(FakeSource("shop", [purchase()]))) as url,
        connected({"shop": Endpoint(url), "crm": Endpoint("http://127.0.0.1:9")}) as sources,
    ):
        assert set(sources) == {REGISTER, "shop", "crm"}
        assert (await sources["shop"].order("o1")).answer.source == "shop"


async def test_a_misplaced_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with (
        served(as_app(FakeSource("shop", [purchase()]))) as url,
        connected({"shop": Endpoint(url)}) as sources,
    ):
        assert (await sources["shop"].order("o1")).answer.answer is Answer.CONFIRMED
