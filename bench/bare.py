"""A minimal workflow that waits like a referral: the same timers, signals and remote activities, no database, no rules.

`python -m bench.bare QUEUE READY_FILE` runs its worker. ``lived`` acts as the facts, the relay and the approver.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from bench.pace import Pace

_AT_ONCE = 16
#: Longer than a decision takes here.
_REMINDER = timedelta(days=2)
_SENT, _CLAIMED, _BOUGHT, _DECIDED, _PAID = range(1, 6)


@dataclass(frozen=True)
class Life:
    """The length of each wait in seconds, and whether the payouts are activities of this workflow itself."""

    pace: Pace
    pays_itself: bool


@activity.defn
async def assemble() -> None:
    return None


@activity.defn
async def pay() -> None:
    return None


@workflow.defn
class BareReferral:
    """Waits for five signals and five timers, and runs an activity for the claim in between."""

    def __init__(self) -> None:
        self.signals = 0

    @workflow.run
    async def run(self, life: Life) -> None:
        expiry = asyncio.create_task(workflow.sleep(life.pace.expiry))
        await self._reaches(_CLAIMED)
        await expiry
        offer = asyncio.create_task(workflow.sleep(life.pace.offer))
        await self._reaches(_BOUGHT)
        offer.cancel()
        await workflow.sleep(life.pace.return_)
        await workflow.execute_activity(assemble, start_to_close_timeout=timedelta(seconds=15))
        reminder = asyncio.create_task(workflow.sleep(_REMINDER))
        await self._reaches(_DECIDED)
        reminder.cancel()
        if life.pays_itself:
            await asyncio.gather(_pay(), _pay())
        else:
            await self._reaches(_PAID)
        await workflow.sleep(life.pace.watch)

    @workflow.signal
    def told(self) -> None:
        self.signals += 1

    async def _reaches(self, signals: int) -> None:
        await workflow.wait_condition(lambda: self.signals >= signals)


@workflow.defn
class BarePayout:
    """One payout, as one activity."""

    @workflow.run
    async def run(self) -> None:
        await _pay()


def _pay() -> Awaitable[None]:
    return workflow.execute_activity(pay, start_to_close_timeout=timedelta(seconds=15))


async def lived(client: Client, queue: str, names: Iterable[str], life: Life) -> None:
    """Run a bare referral for each name, all concurrently."""
    names = list(names)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def each(act: Callable[[str], Awaitable[object]]) -> None:
        async def one(name: str) -> None:
            async with slots:
                await act(name)

        await asyncio.gather(*map(one, names))

    async def begin(name: str) -> None:
        await client.start_workflow(BareReferral.run, life, id=name, task_queue=queue, start_signal="told")

    async def tell(name: str) -> None:
        await client.get_workflow_handle(name).signal("told")

    async def decide(name: str) -> None:
        await tell(name)
        if not life.pays_itself:
            payouts = [
                await client.start_workflow(BarePayout.run, id=f"{name}-payout-{leg}", task_queue=queue)
                for leg in range(2)
            ]
            await asyncio.gather(*(payout.result() for payout in payouts))
            await tell(name)

    await each(begin)
    await asyncio.sleep(life.pace.pause)
    await each(tell)
    await asyncio.sleep(life.pace.expiry)
    await each(tell)
    await asyncio.sleep(life.pace.return_ + life.pace.pause)
    await each(decide)
    await asyncio.gather(*(client.get_workflow_handle(name).result() for name in names))


async def serve(queue: str, ready_file: Path) -> None:
    """Run the worker until SIGTERM."""
    from worker.sandbox import runner

    client = await Client.connect(**ClientConfig.load_client_connect_config())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[BareReferral, BarePayout],
        activities=[assemble, pay],
        workflow_runner=runner(),
        max_cached_workflows=1000,
    ):
        await asyncio.to_thread(ready_file.touch)
        await stop.wait()


if __name__ == "__main__":
    from bench import bare  # under its own name, so that the sandbox finds the workflows where the client names them

    asyncio.run(bare.serve(sys.argv[1], Path(sys.argv[2])))
