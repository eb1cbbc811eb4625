"""Payouts per second through a sandbox rail, compared with bare HTTP calls with the same database commits.

Ours is the activity that a worker runs: it verifies each payout from its facts and signatures, records, sends and books
it. Bare is the minimum for paying exactly once: a commit before the call, the call, a commit after it.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.inquiries import Inquiries
from activities.messages import PayoutRequest
from activities.payouts import Payouts
from bench.hearings import Hearings
from bench.profiling import Hotspot, hotspots, profiled
from bench.report import Measurement, reaches
from models.migrate import upgrade
from models.session import engine
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.local.embedded import free_port, postgres
from referral_rewards.local.sandbox import stripe
from referral_rewards.rails import asking, stripe_calls
from referral_rewards.rails.access import StripeAccess
from referral_rewards.rails.stripe_transfer import StripeTransfer
from referral_rewards.register import programs
from referral_rewards.sources.http import RegisterSource

GOAL: Final = 0.5
#: Concurrent payouts, in ours and in the bare one.
_AT_ONCE: Final = 8
_PROGRAM: Final = "paying"
_NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOTE: Final = (
    "Payouts a second by the activity that pays, over Stripe's sandbox in a process of its own, against as many calls"
    " of it with as many database commits of a row each around them; in turn, eight at once. `statements` has the bare"
    " one make as many statements as ours, too. A profile is by CPU time."
)


async def measure(data: Path, size: int) -> Measurement:
    """Measure payouts per second over ``size`` payouts."""
    async with postgres(data) as url, _sandbox() as rail_url, asking.client() as client:
        name = with_driver(url)
        await asyncio.to_thread(upgrade, name)
        database = engine(name, pool_size=_AT_ONCE, planned_once=True)
        try:
            stage = _Stage(Hearings(database, _NOW), client, rail_url)
            await stage.prepare()
            warm = min(size, _AT_ONCE)
            planned = await stage.approved(2 * size + warm)
            with _Counting(database) as counted:
                await _all(planned[:warm], stage.pay)
            commits, statements = (round(count / warm) for count in counted)
            bare = _Bare(database, client, rail_url)
            await bare.prepare()
            paid = planned[warm : warm + size]
            ours = size / await _timed(_all(paid, stage.pay))
            alone = size / await _timed(_all(range(size), partial(bare.pay, commits, commits)))
            as_many = size / await _timed(_all(range(size), partial(bare.pay, commits, statements)))
            ratio = ours / alone
            profile = [] if reaches(ratio, GOAL, "high") else await _profile(stage, planned[warm + size :])
        finally:
            await database.dispose()
    return Measurement(
        name="payouts",
        unit="/s",
        size=size,
        ours=ours,
        bare=alone,
        ratio=ratio,
        goal=GOAL,
        best="high",
        note=NOTE,
        parts={"commits each": commits, "statements each": statements, "ms each": 1000 * _AT_ONCE / ours},
        bare_parts={"ms each": 1000 * _AT_ONCE / alone},
        variants={"statements": ours / as_many},
        profile=profile,
    )


class _Stage:
    """A register whose referrals reward their referrer in cash, and the activity that pays."""

    def __init__(self, hearings: Hearings, client: httpx.AsyncClient, url: str) -> None:
        self._hearings = hearings
        rail = StripeTransfer(stripe_calls.api(StripeAccess(stripe.KEY, url), client))
        sources = Inquiries(hearings.database, hearings.intake, {"register": RegisterSource()})
        self._paying = Payouts(hearings.database, hearings.keys, {rail.facts.name: rail}, sources, lambda: _NOW)

    async def prepare(self) -> None:
        await self._hearings.prepare()
        async with self._hearings.database.transaction() as connection:
            await programs.publish(connection, _TERMS, by="bench", at=_NOW)

    async def approved(self, number: int) -> Sequence[UUID]:
        """Create ``number`` approved payouts, each to a different referrer, and return their ids."""
        print(f"  approving {number} rewards", flush=True)
        names = [f"paid-{each}" for each in range(number)]
        await self._hearings.take_in([told for name in names for told in _events(name)])
        for name in names:
            await self._hearings.assembled(name)
            await self._hearings.decided(name)
            await self._hearings.approved(name)
        async with self._hearings.database.transaction() as connection:
            return (await connection.execute(_PLANNED)).scalars().all()

    async def pay(self, payout: UUID) -> None:
        """Send the payout. Raises RuntimeError if it is not settled then."""
        came_to = await self._paying.send_payout(PayoutRequest(payout=str(payout), now=_NOW))
        if came_to.state != "settled":
            raise RuntimeError(f"a payout came to be {came_to.state}: {came_to.why}")


class _Bare:
    """The bare call, between commits of one row each."""

    def __init__(self, database: AsyncEngine, client: httpx.AsyncClient, url: str) -> None:
        self._database = database
        self._client = client
        self._url = f"{url}/v1/transfers"

    async def prepare(self) -> None:
        async with self._database.begin() as connection:
            await connection.execute(text("CREATE TABLE bare (id uuid PRIMARY KEY, step integer NOT NULL)"))

    async def pay(self, commits: int, statements: int, _: object) -> None:
        """Make this many commits, all but one before the call, with this many statements in total."""
        key = str(uuid4())
        for step in range(commits - 1):
            await self._commit(key, step, statements // commits)
        headers = {
            "Authorization": f"Bearer {stripe.KEY}", "Idempotency-Key": key, "Stripe-Version": stripe_calls.VERSION,
        }  # fmt: skip
        form = {"amount": "2500", "currency": "usd", "destination": "acct_dexter", "transfer_group": key}
        (await self._client.post(self._url, data=form, headers=headers)).raise_for_status()
        await self._commit(key, commits, statements // commits)

    async def _commit(self, key: str, step: int, statements: int) -> None:
        async with self._database.begin() as connection:
            for _ in range(statements - 1):
                await connection.execute(_READ, {"id": key})
            await connection.execute(_WRITE, {"id": key, "step": step})


async def _all(items: Sequence[Any] | range, pay: Callable[[Any], Awaitable[None]]) -> None:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Any) -> None:
        async with slots:
            await pay(item)

    await asyncio.gather(*map(one, items))


async def _timed(working: Awaitable[None]) -> float:
    began = time.perf_counter()
    await working
    return time.perf_counter() - began


async def _profile(stage: _Stage, planned: Sequence[UUID]) -> list[Hotspot]:
    with profiled() as profiles:
        await _all(planned, stage.pay)
    return hotspots(profiles)


class _Counting:
    """Counts the commits and statements of an engine, for the length of the block."""

    def __init__(self, database: AsyncEngine) -> None:
        self._engine = database.sync_engine
        self._counted = [0, 0]

    def __enter__(self) -> list[int]:
        event.listen(self._engine, "commit", self._commit)
        event.listen(self._engine, "before_cursor_execute", self._statement)
        return self._counted

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "commit", self._commit)
        event.remove(self._engine, "before_cursor_execute", self._statement)

    def _commit(self, *_: object) -> None:
        self._counted[0] += 1

    def _statement(self, *_: object) -> None:
        self._counted[1] += 1


@asynccontextmanager
async def _sandbox() -> AsyncIterator[str]:
    """Run Stripe's sandbox in a separate process, and yield its URL.

    Raises:
        RuntimeError: if it does not answer.
    """
    port = free_port()
    serve = (sys.executable, "-m", "referral_rewards.local.sandbox", "--port", str(port))
    process = await asyncio.create_subprocess_exec(*serve)
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(300):
                try:
                    await client.get(url)
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
            else:
                raise RuntimeError("the sandbox does not answer")
        yield f"{url}/stripe"
    finally:
        process.terminate()
        await process.wait()


def _events(name: str) -> list[Event]:
    """Return the facts of a referral without any suspicion, and of its referrer."""
    person = {"customer": f"c-{name}", "email": f"{name}@example.com"}
    by = {"program": _PROGRAM, "referrer": f"by-{name}"}
    order = {"order": f"o-{name}", "kind": "purchase", "amount": "80.00", "currency": "USD", "new_customer": True}
    told: list[tuple[str, int, dict[str, Any]]] = [
        ("referrer.enrolled", 60, {**by, "customer": f"c-by-{name}", "email": f"by-{name}@example.org"}),
        ("payee.method_set", 59, {"payee": f"by-{name}", "rail": "stripe_transfer", "reference": "acct_dexter"}),
        ("referral.sent", 40, {"referral": name, **by, "channel": "link", "referee": {"email": person["email"]}}),
        ("referral.claimed", 39, {"referral": name, "referee": person, "consent": True}),
        ("conversion.recorded", 38, {**order, "customer": person}),
    ]
    return [
        parse_event(
            {
                "specversion": "1.0",
                "id": f"{name} {kind}",
                "source": "bench",
                "type": kind,
                "time": (_NOW - timedelta(days=days)).isoformat(),
                "data": data,
            }
        )
        for kind, days, data in told
    ]


_TERMS: Final = f"""
program: {_PROGRAM}
name: Pays cash
effective_from: 2020-01-01T00:00:00Z
timezone: UTC
currency: USD
periods: {{expiry: {{email: P30D}}, offer: P30D, grace: P30D, return: P14D}}
qualifying: {{kinds: [purchase], minimum: "50.00"}}
rewards:
  referrer: {{kind: cash, amount: "25.00"}}
approval: {{routes: {{cash: [finance]}}}}
payouts: {{timing: immediate, rails: {{cash: stripe_transfer}}}}
tax: {{regime: us}}
"""

_PLANNED: Final = text("SELECT id FROM payout WHERE state = 'approved' ORDER BY id")

_READ: Final = text("SELECT step FROM bare WHERE id = :id")

_WRITE: Final = text("""
INSERT INTO bare (id, step) VALUES (:id, :step) ON CONFLICT (id) DO UPDATE SET step = excluded.step
""")
