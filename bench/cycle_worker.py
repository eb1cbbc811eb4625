"""`python -m bench.cycle_worker URL KEYS CYCLE PHASE`: takes the steps of one phase of a payout cycle.

Prints the seconds taken and the peak memory in megabytes.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import psutil
from sqlalchemy import text

from bench.personal import KEYS
from models.session import Database
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register.cycles import steps as cycle_steps
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import answers

_BYTES: Final = 1024 * 1024
#: How many payouts are booked at a time, as by the activities of one worker.
_AT_ONCE: Final = 4
_PAGE: Final = 200


async def run(url: str, keys: KeyRing, cycle: UUID, phase: str) -> dict[str, float]:
    """Run the phase, and return its seconds and megabytes."""
    database = Database.at(with_driver(url), pool_size=_AT_ONCE, personal=KEYS)
    process = psutil.Process()
    async with database.transaction():
        print("begins", flush=True)
    most, began = process.memory_info().rss, time.perf_counter()
    try:
        while await (_book(database, cycle) if phase == "book" else _step(database, keys, cycle, phase)):
            most = max(most, process.memory_info().rss)
    finally:
        await database.close()
    most = max(most, process.memory_info().rss)
    return {"seconds": time.perf_counter() - began, "memory": most / _BYTES}


async def _step(database: Database, keys: KeyRing, cycle: UUID, phase: str) -> bool:
    """Take one step of a cycle. Return whether the phase continues. Freezing is the step after the last payee."""
    async with database.transaction() as connection:
        step = await cycle_steps.step(connection, cycle, datetime.now(UTC), keys)
        left = (await connection.execute(_LEFT, {"cycle": cycle})).scalar_one()
    if step is None:
        raise RuntimeError("there is no such cycle")
    return step.more and not (phase == "gather" and not left)


async def _book(database: Database, cycle: UUID) -> bool:
    """Settle the next payouts as their rail's answers would. Return whether there were any."""
    async with database.transaction() as connection:
        due: Sequence[UUID] = (await connection.execute(_DUE, {"cycle": cycle, "page": _PAGE})).scalars().all()
    slots = asyncio.Semaphore(_AT_ONCE)

    async def note(payout: UUID) -> None:
        async with slots, database.transaction() as connection:
            now, settled = datetime.now(UTC), PayoutState.SETTLED
            await answers.note(connection, payout, settled, now, reference=str(payout), why=None)

    await asyncio.gather(*map(note, due))
    return bool(due)


_LEFT: Final = text("""
SELECT EXISTS (
    SELECT 1 FROM leg l WHERE l.beneficiary > coalesce((SELECT cursor FROM payout_cycle WHERE id = :cycle), '')
)
""")

_DUE: Final = text("""
SELECT id FROM payout WHERE cycle_id = :cycle AND state = 'approved' ORDER BY id LIMIT :page
""")


def main(arguments: Sequence[str]) -> None:
    url, keys, cycle, phase = arguments
    print(json.dumps(asyncio.run(run(url, KeyRing.load(Path(keys)), UUID(cycle), phase))))


if __name__ == "__main__":
    main(sys.argv[1:])
