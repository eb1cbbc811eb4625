"""Registers with the desk in front of them, whose pages are asked of the application itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from statistics import quantiles

import httpx
import psycopg

from bench.hearings import Hearings
from models.migrate import upgrade
from models.session import engine
from referral_rewards.api.app import create_app
from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.session.visiting import cookie_name
from referral_rewards.api.metrics import Metrics
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import sessions, users


@dataclass
class Visitor:
    """Somebody who is signed in, with the token they have, and the milliseconds that each sort of page took."""

    client: httpx.AsyncClient
    token: str
    took: dict[str, list[float]] = field(default_factory=dict)

    async def look(self, what: str, path: str) -> str:
        """Return the page, and note how long it took."""
        began = time.perf_counter()
        answer = await self.client.get(path)
        self.took.setdefault(what, []).append(1000 * (time.perf_counter() - began))
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        return answer.text

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@asynccontextmanager
async def register(url: str, database: str, now: datetime) -> AsyncIterator[tuple[str, Hearings]]:
    """Create a database with the programs published, and yield its address and how to judge there."""
    name = f"{url.rpartition('/')[0]}/{database}"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute(f"CREATE DATABASE {database}".encode())
    await asyncio.to_thread(upgrade, with_driver(name))
    opened = engine(with_driver(name))
    hearings = Hearings(opened, now)
    await hearings.prepare()
    try:
        yield name, hearings
    finally:
        await opened.dispose()


@asynccontextmanager
async def signed_in(hearings: Hearings, user: str, role: Role, now: datetime) -> AsyncIterator[Visitor]:
    """Add a person with this role, and yield them with the desk open."""
    parts = Parts(hearings.database, hearings.intake, hearings.keys, hearings.signer, Metrics())
    async with parts.database.transaction() as connection:
        token = await users.add(connection, user, roles=[role], at=now)
        session = await sessions.begin(connection, user, at=now, factor=Factor.NOT_ASKED)
    transport = httpx.ASGITransport(create_app(parts), raise_app_exceptions=False)
    cookies, headers = {cookie_name(secure=False): session}, {"Accept": "text/html"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://desk", cookies=cookies, headers=headers
    ) as client:
        yield Visitor(client, token)


def p95(times: list[float]) -> float:
    """Return the 95th percentile of two values or more."""
    return quantiles(times, n=20)[-1]
