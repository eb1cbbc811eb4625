"""The desk's pages with many claims waiting, compared with the same pages with ten thousand.

Also decides many claims at once: a thousand decisions in one request, then judges each until it is approved.
"""

import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from statistics import median
from urllib.parse import quote

import structlog

from bench import fresh, waiting
from bench.hearings import PEPPER, Hearings
from bench.past import MAIN, Past, fill
from bench.profiling import hotspots, profiled
from bench.report import Measurement, reaches
from bench.visiting import Visitor, p95, register, signed_in
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.embedded import postgres

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


@dataclass(frozen=True)
class _Desk:
    """One of the two registers, with somebody who looks at its pages."""

    hearings: Hearings
    visitor: Visitor
    claims: int

    async def decide(self, count: int) -> tuple[float, float]:
        """Approve many claims in one request and judge them. Return decisions and approvals per second."""
        client, bearer, asked = self.visitor.client, self.visitor.bearer, []
        for number in range(count):
            shown = (await client.get(f"/v1/claims/{fresh.alike_name(number)}", headers=bearer)).json()
            asked.append({"referral": shown["referral"], "digest": shown["digest"]})
        decision = {"kind": "approve", "reason": "terms_met", "note": "measured", "claims": asked}
        began = time.perf_counter()
        answer = await client.post("/v1/claims/decisions", json=decision, headers=bearer, timeout=600)
        decided = time.perf_counter() - began
        if answer.status_code != 200 or answer.json()["recorded"] != count:
            raise RuntimeError(f"not all of them were decided: {answer.text[:300]}")
        for number in range(count):
            await self.hearings.approved(fresh.alike_name(number))
        return count / decided, count / (time.perf_counter() - began)


async def measure(data: Path, size: int) -> Measurement:
    """Measure milliseconds per page with ``size`` claims waiting; a million takes minutes and gigabytes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    trial = size < 10 * BASE
    rounds, decided = (_ROUNDS_ON_TRIAL, _DECIDED_ON_TRIAL) if trial else (_ROUNDS, _DECIDED)
    base = min(BASE, size)
    async with (
        postgres(data) as url,
        _desk(url, "asked", size, decided) as large,  # first: filling it takes longer than a session lasts
        _desk(url, "base", base, 0) as small,
    ):
        await _rounds(small, large, 1)
        for each in (small, large):
            each.visitor.took.clear()
        print(f"  asking for {rounds} times {2 * len(_QUEUE)} pages of each of the two", flush=True)
        await _rounds(small, large, rounds)
        ratio = p95(large.visitor.took["queue"]) / p95(small.visitor.took["queue"])
        spots = []
        if not reaches(ratio, GOAL, "low"):
            with profiled() as profiles:
                for query in _QUEUE:
                    await large.visitor.client.get(f"/queue?{query}")
            spots = hotspots(profiles)
        print(f"  deciding on {decided} claims", flush=True)
        decisions, approvals = await large.decide(decided)
    return Measurement(
        name="a page of the queue, p95",
        unit="ms",
        size=size,
        ours=p95(large.visitor.took["queue"]),
        bare=p95(small.visitor.took["queue"]),
        ratio=ratio,
        goal=GOAL,
        best="low",
        note=NOTE,
        parts={**_parts(large), "decisions/s": decisions, "approved/s": approvals},
        bare_parts=_parts(small),
        variants={"claim p95": p95(large.visitor.took["claim"]) / p95(small.visitor.took["claim"])},
        profile=spots,
    )


async def _rounds(small: _Desk, large: _Desk, rounds: int) -> None:
    """Load every page in both registers in turn, so that other load on the machine slows both alike."""
    for number in range(rounds):
        for place, query in enumerate(_QUEUE):
            for each in (small, large):
                shown = await each.visitor.look("queue", f"/queue?{query}")
                # For some, also load the next page: even the deepest page costs as much as any other.
                found = re.search(r'rel="next" href="([^"]*)"', shown)
                if found and number % 2:
                    await each.visitor.look("queue", unescape(found[1]))
                claim = waiting.name((number * len(_QUEUE) + place) * 7919 % each.claims)
                await each.visitor.look("claim", f"/claims/{quote(claim)}")


@asynccontextmanager
async def _desk(url: str, database: str, size: int, decided: int) -> AsyncIterator[_Desk]:
    """Create a database with ``size`` claims waiting, and more claims that can be decided."""
    now = datetime.now(UTC)
    async with register(url, database, now) as (name, hearings):
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
        async with signed_in(hearings, "paula", Role.PROGRAM_OWNER, now) as visitor:
            yield _Desk(hearings, visitor, size)


def _parts(desk: _Desk) -> dict[str, float]:
    return {
        "queue median": median(desk.visitor.took["queue"]),
        "claim median": median(desk.visitor.took["claim"]),
        "claim p95": p95(desk.visitor.took["claim"]),
    }
