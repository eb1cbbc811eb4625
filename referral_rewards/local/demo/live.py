"""The live part: facts are sent at set seconds, timers last seconds, and people decide meanwhile.

On a busy machine a fact is sent late rather than before the previous one has taken effect. Each fact is judged by its
scripted ``time``, so a late one changes only what a person would see on the way.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from models.session import Database
from referral_rewards.local.demo.api import Api
from referral_rewards.local.demo.approvers import decide
from referral_rewards.local.demo.output import Progress
from referral_rewards.local.demo.past import rest
from referral_rewards.local.demo.script import Expectation, Step

_WATCH_SECONDS: Final = 0.5


async def play(
    api: Api, database: Database, steps: Sequence[Step], expected: Mapping[str, Expectation], progress: Progress
) -> dict[str, tuple[Any, str]]:
    """Play every step at its second. Return, for each decided referral, its state just before and the decision."""
    began, start = time.monotonic(), datetime.now(UTC)
    watching = asyncio.create_task(_watch(api, expected, progress))
    deciding: dict[str, asyncio.Task[tuple[dict[str, Any], str]]] = {}
    sent_at = 0.0
    try:
        for step in steps:
            await asyncio.sleep(max(0.0, began + step.at - time.monotonic()))
            if step.at > sent_at:
                await rest(database, list(expected), progress)
                sent_at = step.at
            if step.decide is not None:
                # A decision waits until its referral is ready; later facts do not wait for the decision.
                deciding[step.decide] = asyncio.create_task(decide(api, step.decide, expected))
            elif step.event is not None:
                occurred_at = start + timedelta(seconds=step.at if step.occurred is None else step.occurred)
                await api.tell({"specversion": "1.0", "time": occurred_at.isoformat(), **step.event})
        return {referral: await task for referral, task in deciding.items()}
    finally:
        for task in (watching, *deciding.values()):
            task.cancel()


async def _watch(api: Api, expected: Mapping[str, Expectation], progress: Progress) -> None:
    """Report each status change when it appears in the list."""
    stood: dict[str, str | None] = {}
    while True:
        listed = await api.referrals()
        for referral in expected:
            now = listed[referral]["status"] if referral in listed else None
            if now is not None and now != stood.get(referral):
                reason = listed[referral]["reason"]
                progress.say(f"{referral}: {now}{f' ({reason})' if reason else ''}")
                stood[referral] = now
        await asyncio.sleep(_WATCH_SECONDS)
