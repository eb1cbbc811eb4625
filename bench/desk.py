"""The desk's pages with many claims waiting, compared with the same pages with ten thousand.

Also decides many claims at once: a thousand decisions in one request, then judges each until it is approved.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import quote

import httpx
import psycopg
import structlog

from bench import fresh, waiting
from bench.hearings import PEPPER, Hearings
from bench.past import MAIN, Past, fill
from bench.profiling import hotspots, profiled
from bench.report import Measurement, reaches
from models.migrate import upgrade
from models.session import engine
from referral_rewards.api.app import create_app
from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.session.visiting import cookie_name
from referral_rewards.api.metrics import Metrics
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.embedded import postgres
from referral_rewards.register.people import sessions, users

GOAL = 1.5
BASE = 10_000
NOTE = (
    "95th percentile of the milliseconds that the server takes for a page of the queue or of one claim, in a register "
    f"with so many claims before their approvers against one with {BASE:,}, page by page in turn; the pages are asked "
    "of the application itself. The queue is asked for plainly, page after page, filtered, searched and in each order. "
    "The ratio is that of the queue; that of claims is beside it. `decisions/s` are decisions on many claims with one "
    "request, `approved/s` what judging them then comes to. The goal of the median is 50 ms."
)
#: The referrals in the past of both registers.
_PAST = 2_000
_ROUNDS, _ROUNDS_ON_TRIAL = 12, 2
_DECIDED, _DECIDED_ON_TRIAL = 1_000, 20
_QUEUE = (
    "",
    f"program={MAIN}",
    "program=side-1&sort=newest",
    "flag=none",
    "flag=fraud_suspected",
    "flag=partner_exception&sort=amount_high",
    "exception=approval&recommendation=review",
    "route=finance&overdue=true",
    "mine=true",
    "sort=newest",
    "sort=amount_high",
    "sort=amount_low&currency=USD&amount_min=300",
    "sort=deadline",
    "older_than_days=2",
    "q=w00012",
    "q=o-w77",
    "q=whale",
    "flag=duplicate_claim&program=side-2&amount_min=100",
)


@dataclass
class _Desk:
    """One of the two registers with its application, and the milliseconds that each page took."""

    hearings: Hearings
    parts: Parts
    client: httpx.AsyncClient
    token: str
    claims: int
    took: dict[str, list[float]] = field(default_factory=lambda: {"queue": [], "claim": []})

    async def look(self, what: str, path: str) -> str:
        began = time.perf_counter()
        answer = await self.client.get(path)
        self.took[what].append(1000 * (time.perf_counter() - began))
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        return answer.text

    async def decide(self, count: int) -> tuple[float, float]:
        """Approve many claims in one request and judge them. Return decisions and approvals per second."""
        asked = []
        for number in range(count):
            shown = (await self.client.get(f"/v1/claims/{fresh.alike_name(number)}", headers=self._bearer)).json()
            asked.append({"referral": shown["referral"], "digest": shown["digest"]})
        decision = {"kind": "approve", "reason": "terms_met", "note": "measured", "claims": asked}
        began = time.perf_counter()
        answer = await self.client.post("/v1/claims/decisions", json=decision, headers=self._bearer, timeout=600)
        decided = time.perf_counter() - began
        if answer.status_code != 200 or answer.json()["recorded"] != count:
            raise RuntimeError(f"not all of them were decided: {answer.text[:300]}")
        for number in range(count):
            await self.hearings.approved(fresh.alike_name(number))
        return count / decided, count / (time.perf_counter() - began)

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


async def measure(data: Path, size: int) -> Measurement:
    """Measure milliseconds per page with ``size`` claims waiting; a million takes minutes and gigabytes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    trial = size < 10 * BASE
    rounds, decided = (_ROUNDS_ON_TRIAL, _DECIDED_ON_TRIAL) if trial else (_ROUNDS, _DECIDED)
    base = min(BASE, size)
    async with (
        postgres(data) as url,
        _desk(url, "base", base, 0) as small,
        _desk(url, "asked", size, decided) as large,
    ):
        await _rounds(small, large, 1)
        for each in (small, large):
            each.took = {"queue": [], "claim": []}
        print(f"  asking for {rounds} times {2 * len(_QUEUE)} pages of each of the two", flush=True)
        await _rounds(small, large, rounds)
        ratio = _p95(large.took["queue"]) / _p95(small.took["queue"])
        spots = []
        if not reaches(ratio, GOAL, "low"):
            with profiled() as profiles:
                for query in _QUEUE:
                    await large.client.get(f"/queue?{query}")
            spots = hotspots(profiles)
        print(f"  deciding on {decided} claims", flush=True)
        decisions, approvals = await large.decide(decided)
    return Measurement(
        name="a page of the queue, p95",
        unit="ms",
        size=size,
        ours=_p95(large.took["queue"]),
        bare=_p95(small.took["queue"]),
        ratio=ratio,
        goal=GOAL,
        best="low",
        note=NOTE,
        parts={**_parts(large), "decisions/s": decisions, "approved/s": approvals},
        bare_parts=_parts(small),
        variants={"claim p95": _p95(large.took["claim"]) / _p95(small.took["claim"])},
        profile=spots,
    )


async def _rounds(small: _Desk, large: _Desk, rounds: int) -> None:
    """Load every page in both registers in turn, so that other load on the machine slows both alike."""
    for number in range(rounds):
        for place, query in enumerate(_QUEUE):
            for each in (small, large):
                shown = await each.look("queue", f"/queue?{query}")
                # For some, also load the next page: even the deepest page costs as much as any other.
                found = re.search(r'rel="next" href="([^"]*)"', shown)
                if found and number % 2:
                    await each.look("queue", unescape(found[1]))
                claim = waiting.name((number * len(_QUEUE) + place) * 7919 % each.claims)
                await each.look("claim", f"/claims/{quote(claim)}")


@asynccontextmanager
async def _desk(url: str, database: str, size: int, decided: int) -> AsyncIterator[_Desk]:
    """Create a database with ``size`` claims waiting, and more claims that can be decided."""
    name, now = f"{url.rpartition('/')[0]}/{database}", datetime.now(UTC)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute(f"CREATE DATABASE {database}".encode())
    await asyncio.to_thread(upgrade, with_driver(name))
    opened = engine(with_driver(name))
    hearings = Hearings(opened, now)
    await hearings.prepare()
    began = time.perf_counter()
    print(f"  filling a register with {size:,} claims that wait:", end=" ", flush=True)
    await fill(name, Past(_PAST, now - timedelta(days=40)), PEPPER)
    template = fresh.name("small", 0)
    await hearings.take_in(fresh.all_events(range(1), now))
    await hearings.assembled(template)
    await hearings.take_in([event for number in range(decided) for event in fresh.alike(number, now)])
    for number in range(decided):
        await hearings.assembled(fresh.alike_name(number))
    await waiting.fill(name, template, size, lambda what: print(what, end=", ", flush=True))
    print(f"{time.perf_counter() - began:.0f} s", flush=True)
    parts = Parts(hearings.database, hearings.intake, hearings.keys, hearings.signer, Metrics())
    async with parts.database.transaction() as connection:
        token = await users.add(connection, "paula", roles=[Role.PROGRAM_OWNER], at=now)
        session = await sessions.begin(connection, "paula", at=now)
    transport = httpx.ASGITransport(create_app(parts), raise_app_exceptions=False)
    cookies, headers = {cookie_name(secure=False): session}, {"Accept": "text/html"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://desk", cookies=cookies, headers=headers
    ) as client:
        yield _Desk(hearings, parts, client, token, size)
    await opened.dispose()


def _parts(desk: _Desk) -> dict[str, float]:
    return {
        "queue median": median(desk.took["queue"]),
        "claim median": median(desk.took["claim"]),
        "claim p95": _p95(desk.took["claim"]),
    }


def _p95(times: Sequence[float]) -> float:
    return quantiles(times, n=20)[-1]
