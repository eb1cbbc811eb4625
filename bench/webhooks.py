"""Webhooks acknowledged per second, against a bare endpoint that verifies the same signature and commits a row."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import httpx
import psycopg
import structlog
from fastapi import FastAPI, Request

from bench.personal import KEYS
from bench.profiling import Hotspot, hotspots, profiled
from bench.report import Measurement, reaches
from models.migrate import upgrade
from models.session import Database
from referral_rewards.api.app import create_app
from referral_rewards.api.dependencies import Parts
from referral_rewards.api.metrics import Metrics
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.facts.rights import rights
from referral_rewards.local.embedded import postgres
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.port import SourceMapping, Told
from referral_rewards.vendors.stripe import Stripe

GOAL: Final = 0.5
RUNS: Final = 3
AT_ONCE: Final = 8
NOTE: Final = (
    "Paid checkouts of Stripe, each kept as it came and recorded as a fact, by eight requests at once to the "
    "application itself, against a bare FastAPI endpoint that verifies the same signature and commits the body as one "
    "row; in turn, median of three. `p99 ms` is how long a vendor waits for its answer."
)
_SECRET: Final = "whsec_for_measuring_only"
_MAPPING: Final = SourceMapping(source="bench/stripe")


async def measure(data: Path, size: int) -> Measurement:
    """Measure webhooks per second for ``size`` events, ours and bare."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with postgres(data) as url:
        await asyncio.to_thread(upgrade, with_driver(url))
        database = Database.at(with_driver(url), pool_size=10, personal=KEYS)
        bare = await _bare(url)
        try:
            ours = _ours(database)
            rates: dict[str, list[float]] = {"ours": [], "bare": []}
            waits: dict[str, list[float]] = {"ours": [], "bare": []}
            for run in range(RUNS + 1):
                for name, app in (("ours", ours), ("bare", bare)):
                    seconds, each = await _send(app, run, size if run else AT_ONCE)
                    if run:  # the first warms connections and statements up
                        rates[name].append(size / seconds)
                        waits[name] += each
            ratio = median(rates["ours"]) / median(rates["bare"])
            profile = [] if reaches(ratio, GOAL, "high") else await _profile(ours, size)
        finally:
            await database.close()
            for connection in bare.state.connections:
                await connection.close()
    return Measurement(
        name="webhooks acknowledged",
        unit="per second",
        size=size,
        ours=median(rates["ours"]),
        bare=median(rates["bare"]),
        ratio=ratio,
        goal=GOAL,
        best="high",
        note=NOTE,
        parts={"p99 ms": _p99(waits["ours"])},
        bare_parts={"p99 ms": _p99(waits["bare"])},
        profile=profile,
    )


def _ours(database: Database) -> FastAPI:
    signer = Signer.generate()
    keys = KeyRing.of([signer.public_entry()])
    parts = Parts(database, Intake(b"a pepper for measuring only"), keys, signer, Metrics())
    may = rights((_MAPPING.source,), ("conversion.*",))
    source = ConnectedSource("stripe-bench", Stripe(), _MAPPING, may, (_SECRET,))
    return create_app(replace(parts, event_sources={source.name: source}))


async def _bare(url: str) -> FastAPI:
    connections = [await psycopg.AsyncConnection.connect(url) for _ in range(AT_ONCE)]
    await connections[0].execute(b"CREATE TABLE bare_event (id text PRIMARY KEY, body bytea NOT NULL)")
    await connections[0].commit()
    idle: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    for connection in connections:
        idle.put_nowait(connection)
    app = FastAPI()
    app.state.connections = connections

    @app.post("/v1/webhooks/stripe-bench")
    async def take(request: Request) -> dict[str, str]:
        body = await request.body()
        Stripe().verify((_SECRET,), Told(body, dict(request.headers)), _MAPPING, datetime.now(UTC))
        connection = await idle.get()
        try:
            row = (json.loads(body)["id"], body)
            await connection.execute(b"INSERT INTO bare_event (id, body) VALUES (%s, %s) ON CONFLICT DO NOTHING", row)
            await connection.commit()
        finally:
            idle.put_nowait(connection)
        return {"event": "recorded"}

    return app


async def _send(app: FastAPI, run: int, size: int) -> tuple[float, list[float]]:
    """Send so many events, a few at once, and return the seconds of all and of each."""
    requests = [_request(f"{run}_{size}_{number}") for number in range(size)]
    waited: list[float] = []
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        began = time.perf_counter()
        await asyncio.gather(*(_lane(client, requests[lane::AT_ONCE], waited) for lane in range(AT_ONCE)))
        return time.perf_counter() - began, waited


async def _lane(client: httpx.AsyncClient, requests: Sequence[tuple[bytes, str]], waited: list[float]) -> None:
    for body, header in requests:
        began = time.perf_counter()
        answer = await client.post("/v1/webhooks/stripe-bench", content=body, headers={"stripe-signature": header})
        waited.append(time.perf_counter() - began)
        if answer.status_code != 200 or answer.json()["event"] != "recorded":
            raise RuntimeError(f"an event was not recorded: {answer.text[:300]}")


def _request(number: str) -> tuple[bytes, str]:
    stamp = int(time.time())
    thing = {
        "id": f"cs_{number}",
        "object": "checkout.session",
        "amount_total": 9140,
        "created": stamp - 60,
        "currency": "usd",
        "customer": f"cus_{number}",
        "customer_details": {"email": f"{number}@example.com", "address": {"country": "NO"}},
        "mode": "payment",
        "payment_intent": f"pi_{number}",
        "payment_status": "paid",
        "total_details": {"amount_shipping": 500, "amount_tax": 640},
        "metadata": {"note": "x" * 1500},  # as long as events are
    }
    event = {"id": f"evt_{number}", "type": "checkout.session.completed", "created": stamp, "livemode": True}
    body = json.dumps({**event, "data": {"object": thing}}).encode()
    signature = hmac.digest(_SECRET.encode(), f"{stamp}.".encode() + body, "sha256").hex()
    return body, f"t={stamp},v1={signature}"


def _p99(seconds: Sequence[float]) -> float:
    return 1000 * quantiles(seconds, n=100)[-1]


async def _profile(app: FastAPI, size: int) -> list[Hotspot]:
    with profiled() as profiles:
        await _send(app, RUNS + 1, size)
    return hotspots(profiles)
