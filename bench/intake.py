"""Facts ingested per second from a file, compared with bare inserts of their rows in batches of the same size."""

import asyncio
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench.meter import Meter, recorded_pids
from bench.personal import KEYS
from bench.profiling import Hotspot, hotspots, profiled
from bench.report import Measurement, reaches
from models.migrate import upgrade
from models.session import Database
from referral_rewards.config.stack import with_driver
from referral_rewards.local.embedded import postgres
from referral_rewards.register.facts.file_intake import BATCH_LINES, FileIntake
from referral_rewards.register.facts.files import FactFile
from referral_rewards.register.facts.intake import Intake

GOAL = 0.3
RUNS = 3
NOTE = (
    f"A file read, validated, matched, linked and woken in batches of {BATCH_LINES}, against its facts' rows alone "
    "put into a table with the same columns, key and unique constraint by executemany; in turn, median of three. "
    "PostgreSQL's share is of our own runs, in CPU microseconds per fact."
)
_PEPPER = b"a pepper for measuring only"
_BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)
#: How many friends each referrer invites, and one order in how many is returned.
_FRIENDS, _RETURNED = 10, 12


async def measure(data: Path, size: int) -> Measurement:
    """Measure facts per second for ``size`` facts, ours and bare; about a minute for 20,000."""
    file = data / "facts.jsonl"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in _events(size)))
    async with postgres(data) as url:
        await asyncio.to_thread(upgrade, with_driver(url))
        server = recorded_pids(data / "run" / "pids.json")[0]
        ours, bare, parts = [], [], {"PostgreSQL": 0.0, "Python": 0.0}
        meter = Meter({"PostgreSQL": server, "Python": os.getpid()})
        for run in range(RUNS):
            database = await _copy(url, f"run_{run}")
            begin = meter.read()
            ours.append(size / await _ingest(database, file))
            parts = {name: parts[name] + spent for name, spent in meter.spent(begin).items()}
            bare.append(size / await _insert(database))
        ratio = median(ours) / median(bare)
        profile = [] if reaches(ratio, GOAL, "high") else await _profile(await _copy(url, "profiled"), file)
    return Measurement(
        name="facts ingested",
        unit="per second",
        size=size,
        ours=median(ours),
        bare=median(bare),
        ratio=ratio,
        goal=GOAL,
        best="high",
        note=NOTE,
        parts={f"{name} µs": 1e6 * seconds / (size * RUNS) for name, seconds in parts.items()},
        profile=profile,
    )


async def _ingest(url: str, path: Path) -> float:
    """Ingest the file as `referrals ingest` does, and return the seconds it took."""
    database = Database.at(with_driver(url), personal=KEYS)
    problems: list[str] = []
    try:
        async with database.transaction():
            pass  # connect before the clock starts, as for the bare inserts
        began = time.perf_counter()
        intake = FileIntake(
            database, Intake(_PEPPER), tell=lambda number, problem: problems.append(f"line {number}: {problem}")
        )
        await intake.take(FactFile.at(path))
        seconds = time.perf_counter() - began
    finally:
        await database.close()
    if problems:
        raise RuntimeError(f"{len(problems)} facts were refused: {problems[0]}")
    return seconds


async def _insert(url: str) -> float:
    """Insert the rows of the facts just recorded into a bare table, and return the seconds it took."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(f"CREATE TABLE bare_fact AS SELECT {_COLUMNS} FROM fact WITH NO DATA".encode())
        await connection.execute(b"ALTER TABLE bare_fact ADD PRIMARY KEY (id), ADD UNIQUE (source, event_id)")
        cursor = await connection.execute(f"SELECT {_COLUMNS.replace('data', 'data::text')} FROM fact".encode())
        rows = await cursor.fetchall()
        await connection.commit()
        places = ", ".join(["%s"] * len(rows[0]))
        statement = f"INSERT INTO bare_fact ({_COLUMNS}) VALUES ({places})".encode()
        began = time.perf_counter()
        for batch in _batches(rows):
            async with connection.cursor() as inserting:
                await inserting.executemany(statement, batch)
            await connection.commit()
        return time.perf_counter() - began


async def _profile(url: str, path: Path) -> list[Hotspot]:
    # Separate threads, which begin and end within the profile.
    with profiled() as profiles, ThreadPoolExecutor() as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        await _ingest(url, path)
    return hotspots(profiles)


async def _copy(url: str, name: str) -> str:
    """Create a database with an empty schema, and return its URL."""
    server, _, template = url.rpartition("/")
    async with await psycopg.AsyncConnection.connect(f"{server}/postgres", autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return f"{server}/{name}"


def _batches(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(rows), BATCH_LINES):
        yield rows[first : first + BATCH_LINES]


def _events(size: int) -> Iterator[dict[str, Any]]:
    """Yield facts in the order of referrals' lives: enrolments, invitations, claims, purchases and some returns."""
    count = referral = 0
    while True:
        for event in _referral(referral):
            if count == size:
                return
            count += 1
            yield event
        referral += 1


def _referral(number: int) -> Iterator[dict[str, Any]]:
    name, sent = f"r{number}", _BEGAN + timedelta(minutes=number)
    referrer = {"program": "acme-friends", "referrer": f"f{number // _FRIENDS}"}
    person = {"customer": f"c-{name}", "email": f"brie.{name}@example.com"}
    if number % _FRIENDS == 0:
        enrolled = {**referrer, "customer": f"c-{referrer['referrer']}", "email": f"f{number}@example.org"}
        yield _event(name, "referrer.enrolled", sent - timedelta(days=1), enrolled)
    invited = {"referral": name, **referrer, "channel": "email", "referee": {"email": person["email"]}}
    yield _event(name, "referral.sent", sent, invited)
    claimed = {"referral": name, "referee": person, "consent": True, "ip": "203.0.113.7"}
    yield _event(name, "referral.claimed", sent + timedelta(days=9), claimed)
    order = {"order": f"o-{name}", "amount": "80.00"}
    bought = {**order, "kind": "purchase", "currency": "USD", "customer": person, "new_customer": True}
    yield _event(name, "conversion.recorded", sent + timedelta(days=19), bought)
    if number % _RETURNED == 0:
        yield _event(name, "conversion.reversed", sent + timedelta(days=22), {**order, "kind": "return"})


def _event(name: str, kind: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    stated = {"specversion": "1.0", "id": f"{name}-{kind}", "source": "acme/shop", "type": kind}
    return {**stated, "time": at.isoformat(), "data": data}


_COLUMNS = "id, source, event_id, type, occurred_at, received_at, data, marks, digest, content_mac, batch_id"
