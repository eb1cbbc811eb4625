"""Judging one claim in a large register, compared with judging the same claim in a register of ten thousand
referrals."""

import asyncio
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
from sqlalchemy import event

from bench import fresh
from bench.hearings import PEPPER, Hearings
from bench.past import Past, fill
from bench.profiling import TOP, Hotspot
from bench.report import Measurement, reaches
from models.migrate import upgrade
from models.session import engine
from referral_rewards.config.stack import with_driver
from referral_rewards.local.embedded import postgres

GOAL = 2.0
BASE = 10_000
NOTE = (
    "A claim judged and assembled as the worker does, with every fraud signal weighted, in a register of so many "
    f"referrals against one of {BASE:,}, claim by claim in turn; median. `approving` builds the claim once more and "
    "reserves; `committing` builds it once more for each leg and puts the attempt at paying it on record. The big "
    "referrer has 1 % of all referrals, the crowd's network one in 200. A profile is by statement, in seconds until "
    "PostgreSQL had answered."
)
#: A fixed time, so that the measurement does not depend on the date.
_NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
#: Referrals of each sort. A size too small to be meaningful only tests the measurement itself.
_WARM_UP, _OF_EACH, _OF_EACH_ON_TRIAL = 3, 20, 2
_ACTS = ("judging", "approving", "committing")


class _Register:
    """One of the two registers: its hearings, the time each took, and the time by statement."""

    def __init__(self, url: str) -> None:
        self._engine = engine(with_driver(url))
        self.hearings = Hearings(self._engine, _NOW)
        self.took: dict[tuple[str, str], list[float]] = {(act, sort): [] for act in _ACTS for sort in fresh.SORTS}
        self.statements: dict[str, list[float]] = {}

    async def hear(self, sort: str, number: int) -> None:
        """Take one referral from its facts to its first payment attempt."""
        referral = fresh.name(sort, number)
        for rival in fresh.beside(sort, number):
            await self.hearings.assembled(rival)
        await self._time("judging", sort, self.hearings.assembled(referral))
        await self.hearings.decided(referral)
        await self._time("approving", sort, self.hearings.approved(referral))
        await self._time("committing", sort, self.hearings.committed(referral))

    async def _time(self, act: str, sort: str, hearing: Awaitable[None]) -> None:
        began = time.perf_counter()
        await hearing
        self.took[act, sort].append(1000 * (time.perf_counter() - began))

    def milliseconds(self, act: str, sorts: Sequence[str] = fresh.SORTS) -> list[float]:
        return [each for sort in sorts for each in self.took[act, sort]]

    def forget(self) -> None:
        """Discard all measurements so far."""
        for times in self.took.values():
            times.clear()
        self.statements.clear()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Record how long each statement takes, for the length of the block."""
        began: list[float] = []

        def before(*_: Any) -> None:
            began.append(time.perf_counter())

        def after(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            self.statements.setdefault(statement, []).append(time.perf_counter() - began.pop())

        event.listen(self._engine.sync_engine, "before_cursor_execute", before)
        event.listen(self._engine.sync_engine, "after_cursor_execute", after)
        try:
            yield
        finally:
            event.remove(self._engine.sync_engine, "before_cursor_execute", before)
            event.remove(self._engine.sync_engine, "after_cursor_execute", after)

    def hotspots(self) -> list[Hotspot]:
        """Return the statements that took the most time, slowest first."""
        spots = [
            Hotspot(" ".join(statement.split())[:100], len(times), round(sum(times), 4))
            for statement, times in self.statements.items()
        ]
        return sorted(spots, key=lambda spot: -spot.seconds)[:TOP]

    async def close(self) -> None:
        await self._engine.dispose()


async def measure(data: Path, size: int) -> Measurement:
    """Measure milliseconds per claim in a register of ``size`` referrals; a million takes minutes and gigabytes."""
    numbers = range(_WARM_UP, _WARM_UP + (_OF_EACH if size >= 10 * BASE else _OF_EACH_ON_TRIAL))
    async with postgres(data) as url:
        small = await _register(url, "base", BASE, numbers.stop)
        large = await _register(url, "asked", size, numbers.stop)
        try:
            for number in range(_WARM_UP):
                await _in_turn(small, large, number)
            small.forget()
            large.forget()
            print(f"  judging {len(numbers) * len(fresh.SORTS)} claims in each of the two", flush=True)
            with small.listening(), large.listening():
                for number in numbers:
                    await _in_turn(small, large, number)
        finally:
            await small.close()
            await large.close()
    return _compared(size, large, small)


async def _in_turn(small: _Register, large: _Register, number: int) -> None:
    """Judge one referral of each sort in both registers in turn, so that other load on the machine slows both alike."""
    for sort in fresh.SORTS:
        await small.hear(sort, number)
        await large.hear(sort, number)


async def _register(url: str, database: str, size: int, fresh_ones: int) -> _Register:
    """Create a database with a past of ``size`` referrals, and ingest new ones of each sort."""
    name = f"{url.rpartition('/')[0]}/{database}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        # The write-ahead log would take another gigabyte, and this server is never recovered.
        await connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute(f"CREATE DATABASE {database}".encode())
    await asyncio.to_thread(upgrade, with_driver(name))
    register = _Register(name)
    await register.hearings.prepare()
    began = time.perf_counter()
    print(f"  filling a register with {size:,} referrals:", end=" ", flush=True)
    await fill(name, Past(size, _NOW), PEPPER, lambda what: print(what, end=", ", flush=True))
    await register.hearings.take_in(fresh.all_events(range(fresh_ones), _NOW))
    print(f"{time.perf_counter() - began:.0f} s", flush=True)
    return register


def _compared(size: int, large: _Register, small: _Register) -> Measurement:
    ours, bare = (median(each.milliseconds("judging")) for each in (large, small))
    ratio = ours / bare
    return Measurement(
        name="judging one claim",
        unit="ms",
        size=size,
        ours=ours,
        bare=bare,
        ratio=ratio,
        goal=GOAL,
        best="low",
        note=NOTE,
        parts=_parts(large),
        bare_parts=_parts(small),
        variants={
            "p95": _p95(large.milliseconds("judging")) / _p95(small.milliseconds("judging")),
            **{act: median(large.milliseconds(act)) / median(small.milliseconds(act)) for act in _ACTS[1:]},
            **{
                sort: median(large.milliseconds("judging", [sort])) / median(small.milliseconds("judging", [sort]))
                for sort in fresh.SORTS
            },
        },
        profile=[] if reaches(ratio, GOAL, "low") else large.hotspots(),
    )


def _parts(register: _Register) -> dict[str, float]:
    return {
        "p95": _p95(register.milliseconds("judging")),
        **{act: median(register.milliseconds(act)) for act in _ACTS[1:]},
        **{sort: median(register.milliseconds("judging", [sort])) for sort in fresh.SORTS},
    }


def _p95(times: Sequence[float]) -> float:
    return quantiles(times, n=20)[-1]
