"""Clients that send half a request, or byte by byte, or read no answer: each is cut off, and others are served.

The server is the real one in a process of its own. Its limits are small, and no assertion depends on how fast it is:
whoever is cut off sees the connection end, and whoever is served gets an answer.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from referral_rewards.api.slow_clients import BYTES_PER_SECOND_MIN, BodyPatience, Patience
from referral_rewards.local.embedded import free_port
from referral_rewards.local.keys import ensure_keys

#: So long the test waits for what it knows must come.
GENEROUS = 120.0


@contextmanager
def api(database_url: str, folder: Path) -> Iterator[int]:
    """The API with little patience; its port."""
    keys, port = ensure_keys(folder), free_port()
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("REFERRALS_", "TEMPORAL_"))}
    mine |= {
        "REFERRALS_DATABASE_URL": database_url,
        "REFERRALS_PEPPER": keys.pepper.read_text(),
        "REFERRALS_PERSONAL_KEYS": keys.personal.read_text(),
        "REFERRALS_SEALING_KEYS": keys.sealing.read_text(),
        "REFERRALS_SIGNING_KEY": str(keys.signing_key),
        "REFERRALS_VERIFY_KEYS": str(keys.verify_keys),
        "REFERRALS_API_PORT": str(port),
        "REFERRALS_API_HEAD_SECONDS": "0.5",
        "REFERRALS_API_BODY_SECONDS": "0.5",
        "REFERRALS_API_CONNECTIONS_MAX": "8",
        "REFERRALS_DATA": str(folder / "none"),
    }
    process = subprocess.Popen([sys.executable, "-m", "referral_rewards.api"], env=mine, cwd=folder)
    try:
        until = time.monotonic() + 3 * GENEROUS
        while not _answers(port):
            assert (process.poll(), time.monotonic() < until) == (None, True), "the API does not start"
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=GENEROUS) as connection:
        yield connection


def answer(connection: socket.socket) -> bytes:
    """What the server says until it ends the connection."""
    said = b""
    while part := _part(connection):
        said += part
    return said


def _part(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def trickle(connection: socket.socket, text: bytes) -> int:
    """Send byte by byte, until the server has enough; how many it took."""
    connection.settimeout(0.05)
    for sent, byte in enumerate(text):
        try:
            connection.sendall(bytes([byte]))
            if not connection.recv(65536):
                return sent
        except TimeoutError:
            continue
        except ConnectionError:
            return sent
    return len(text)


HEAD = b"GET /livez HTTP/1.1\r\nHost: api\r\n"
POST = b"POST /v1/events HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"


def test_whoever_sends_slowly_is_cut_off_and_others_are_served(database_url: str, tmp_path: Path) -> None:
    with api(database_url, tmp_path) as port:
        with connected(port) as silent:
            assert answer(silent).startswith(b"HTTP/1.1 408"), "nothing at all"
        with connected(port) as half:
            half.sendall(HEAD)
            assert _answers(port), "others are served meanwhile"
            assert answer(half).startswith(b"HTTP/1.1 408"), "half a head"
        with connected(port) as slow:
            head = HEAD + b"X-Slow: " + b"a" * 4000
            assert trickle(slow, head) < len(head), "a head that trickles in"
        with connected(port) as again:
            again.sendall(HEAD + b"\r\n")
            assert again.recv(4).startswith(b"HTTP")
            assert trickle(again, HEAD * 100) < len(HEAD) * 100, "a second request that trickles in"
        with connected(port) as body:
            body.sendall(POST + b"[")
            assert _answers(port)
            said = answer(body)
            assert said.startswith((b"HTTP/1.1 408", b"HTTP/1.1 401")), said
        with connected(port) as late:
            late.sendall(HEAD + b"Content-Length: 5000\r\n\r\n{")
            assert late.recv(12) == b"HTTP/1.1 200", "who needs no body answers at once"
            assert trickle(late, b"x" * 4000) < 4000, "and waits for no rest of it"
        opened = [socket.create_connection(("127.0.0.1", port), timeout=GENEROUS) for _ in range(8)]
        try:
            assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=GENEROUS).status_code in (200, 503)
            for each in opened:
                assert answer(each).startswith(b"HTTP/1.1 408"), "no idle crowd stays"
        finally:
            for each in opened:
                each.close()
        assert _answers(port)


@pytest.mark.parametrize(
    ("parts", "refused"),
    [
        ([(0.0, 10, True), (0.0, 10, False)], False),
        ([(GENEROUS, 10, True)], True),
        ([(0.0, BYTES_PER_SECOND_MIN * 100, True), (GENEROUS, 10, True)], True),
    ],
)
async def test_a_body_that_stalls_is_refused(parts: list[tuple[float, int, bool]], refused: bool) -> None:
    waiting = iter(parts)

    async def receive() -> Message:
        seconds, size, more = next(waiting)
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": b"x" * size, "more_body": more}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    async def send(message: Message) -> None: ...

    served = BodyPatience(app, Patience(body=0.2))({"type": "http"}, receive, send)
    if not refused:
        await served
        return
    with pytest.raises(HTTPException) as stopped:
        await served
    assert stopped.value.status_code == 408
