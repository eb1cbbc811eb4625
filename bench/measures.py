"""A program's report over many referrals, compared with the same report over ten thousand; and what keeping the sums
that it reads costs for each referral."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psutil
import psycopg
import structlog

from bench import fresh
from bench.hearings import PEPPER, Hearings
from bench.past import BIG, MAIN, Past, fill
from bench.profiling import hotspots, profiled
from bench.report import Measurement, reaches
from bench.visiting import Visitor, p95, register, signed_in
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.embedded import postgres
from referral_rewards.register.measures import keeping

GOAL = 2.0
BASE = 10_000
NOTE = (
    "95th percentile of the milliseconds that the server takes for a page of a program's report with its charts, over "
    f"so many referrals against {BASE:,}, page by page in turn: this month, the past year, all time, one referrer. The "
    "goal of the 95th percentile is 1,000 ms. `kept/s` is how many referrals a second the sums are brought up to date "
    "for, and `ms CPU a referral` what that costs, in our process and in PostgreSQL. A few referrals are not summed up "
    "yet, so each page also corrects its sums."
)
_ROUNDS, _ROUNDS_ON_TRIAL = 8, 2
#: Referrals that begin before the pages are asked for, and are not summed yet.
_NEWS = 20


@dataclass(frozen=True)
class _Reports:
    """One of the two registers, with somebody who looks at its reports, and what its sums cost."""

    visitor: Visitor
    pages: tuple[str, ...]
    rate: float
    cpu_ms: float


async def measure(data: Path, size: int) -> Measurement:
    """Measure milliseconds per report over ``size`` referrals; a million takes a quarter of an hour."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rounds = _ROUNDS_ON_TRIAL if size < 10 * BASE else _ROUNDS
    async with (
        postgres(data) as url,
        _reports(url, "asked", size) as large,  # first: filling it takes longer than a session lasts
        _reports(url, "base", min(BASE, size)) as small,
    ):
        await _rounds(small, large, 1)
        for each in (small, large):
            each.visitor.took.clear()
        await _rounds(small, large, rounds)
        ours, bare = large.visitor.took["report"], small.visitor.took["report"]
        ratio, spots = p95(ours) / p95(bare), []
        if not reaches(ratio, GOAL, "low"):
            with profiled() as profiles:
                await _look(large)
            spots = hotspots(profiles)
    return Measurement(
        name="a program's report, p95",
        unit="ms",
        size=size,
        ours=p95(ours),
        bare=p95(bare),
        ratio=ratio,
        goal=GOAL,
        best="low",
        note=NOTE,
        parts=_parts(large),
        bare_parts=_parts(small),
        profile=spots,
    )


async def _rounds(small: _Reports, large: _Reports, rounds: int) -> None:
    for _ in range(rounds):
        for each in (small, large):
            await _look(each)


async def _look(reports: _Reports) -> None:
    for page in reports.pages:
        await reports.visitor.look("report", page)


@asynccontextmanager
async def _reports(url: str, database: str, size: int) -> AsyncIterator[_Reports]:
    now = datetime.now(UTC)
    async with register(url, database, now) as (name, hearings):
        print(f"  filling a register with {size:,} referrals and summing them up:", end=" ", flush=True)
        began = time.perf_counter()
        await fill(name, Past(size, now), PEPPER)
        rate, cpu_ms = await _sum_up(hearings, size, now)
        # As PostgreSQL does by itself, some time after a million notes were taken and deleted.
        async with await psycopg.AsyncConnection.connect(name, autocommit=True) as connection:
            await connection.execute("VACUUM (ANALYZE)")
        await hearings.take_in([event for number in range(_NEWS) for event in fresh.alike(number, now)])
        print(f"{time.perf_counter() - began:.0f} s", flush=True)
        async with signed_in(hearings, "paula", Role.PROGRAM_OWNER, now) as visitor:
            yield _Reports(visitor, _pages(now), rate, cpu_ms)


async def _sum_up(hearings: Hearings, size: int, now: datetime) -> tuple[float, float]:
    """Bring all sums up to date; return referrals a second and milliseconds of CPU a referral."""
    async with hearings.database.transaction() as connection:
        await keeping.forget_all(connection)
    began, spent = time.perf_counter(), _cpu()
    taken = 1
    while taken:
        async with hearings.database.transaction() as connection:
            taken = await keeping.catch_up(connection, now)
    return size / (time.perf_counter() - began), 1000 * (_cpu() - spent) / size


def _cpu() -> float:
    """Return the CPU seconds of this process and of the servers that it started."""
    me = psutil.Process()
    times = [me.cpu_times(), *(each.cpu_times() for each in me.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _pages(now: datetime) -> tuple[str, ...]:
    first = f"/reports/program/{MAIN}"
    year = f"from={(now - timedelta(days=365)):%Y-%m-%d}&to={now:%Y-%m-%d}"
    return (first, f"{first}?{year}", f"{first}?every=true", f"{first}?every=true&referrer={BIG}")


def _parts(reports: _Reports) -> dict[str, float]:
    took = reports.visitor.took["report"]
    return {"median": median(took), "kept/s": reports.rate, "ms CPU a referral": reports.cpu_ms}
