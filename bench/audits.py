"""An audit of paid rewards: how many a second, and whether it needs more memory for more of them."""

import asyncio
import logging
import time
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bench import fresh
from bench.hearings import PEPPER, Hearings
from bench.past import MAIN
from bench.report import Measurement
from bench.visiting import register
from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.local.embedded import postgres

GOAL = 1.25
NOTE = (
    "The most memory that Python holds while it audits so many referrals with two paid rewards each, against a quarter "
    "of them: what is read is paged, so that more rewards need no more memory. `rewards/s` is how many are audited a "
    "second, measured without counting memory. Each referral was taken in, judged, approved, signed and paid as the "
    "product does it, which takes most of the time here."
)


@dataclass(frozen=True)
class _Run:
    rewards: int
    seconds: float
    peak_mb: float


async def measure(data: Path, size: int) -> Measurement:
    """Measure an audit of ``size`` referrals that were paid; a thousand take two minutes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    now = datetime.now(UTC)
    async with postgres(data) as url, register(url, "audited", now) as (_, hearings):
        quarter = max(1, size // 4)
        await hearings.take_in(list(fresh.enrolments(now)))
        await _paid(hearings, range(quarter), now)
        small = await _audited(hearings)
        await _paid(hearings, range(quarter, size), now)
        large = await _audited(hearings)
    return Measurement(
        name="an audit's memory",
        unit="MB",
        size=size,
        ours=large.peak_mb,
        bare=small.peak_mb,
        ratio=large.peak_mb / small.peak_mb,
        goal=GOAL,
        best="low",
        note=NOTE,
        parts={"rewards": float(large.rewards), "rewards/s": large.rewards / large.seconds},
        bare_parts={"rewards": float(small.rewards), "rewards/s": small.rewards / small.seconds},
    )


async def _paid(hearings: Hearings, numbers: range, now: datetime) -> None:
    print(f"  paying the rewards of {len(numbers)} referrals", flush=True)
    for number in numbers:
        await hearings.take_in(fresh.alike(number, now))
        name = fresh.alike_name(number)
        await hearings.assembled(name)
        await hearings.decided(name)
        await hearings.approved(name)
        await hearings.paid(name)


async def _audited(hearings: Hearings) -> _Run:
    """Audit twice: for the time, and for the memory.

    Raises:
        RuntimeError: if the audit finds anything.
    """
    began = time.perf_counter()
    rewards = await _walk(hearings)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    await _walk(hearings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return _Run(rewards, seconds, peak / 1_000_000)


async def _walk(hearings: Hearings) -> int:
    means, rewards = Means(hearings.keys.keys, Marker(PEPPER)), 0
    async with hearings.database.reading() as connection:
        async for each in walked(connection, Scope(MAIN), means):
            if not isinstance(each, Audited) or each.findings:
                findings = each.findings if isinstance(each, Audited) else (each,)
                raise RuntimeError(f"the audit found that {findings[0].what} ({findings[0].where})")
            rewards += len(each.examined)
            await asyncio.sleep(0)
    return rewards
