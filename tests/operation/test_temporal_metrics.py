"""Temporal's client tells what the alerts read, under these names: a worker that runs is made to fail in each way.

The names are the SDK's own, and a newer one may change them.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

import httpx
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from referral_rewards.config.settings import Settings
from referral_rewards.local.embedded import HOST, free_port
from tests.chaos.cluster import until
from tests.deploy.exported import Exported, series
from worker.process import runtime

_QUEUE: Final = "of-failures"
_LABELS: Final = {"task_queue": {"referrals", "payouts"}, "namespace": {"default"}}
#: What alerts and the dashboard may read of Temporal's client: the names, labels and values that are found below.
OF_TEMPORAL: Final[Exported] = {
    "temporal_num_pollers": {**_LABELS, "poller_type": {"workflow_task", "sticky_workflow_task", "activity_task"}},
    "temporal_worker_task_slots_available": {**_LABELS, "worker_type": {"WorkflowWorker", "LocalActivityWorker"}},
    "temporal_worker_task_slots_used": {**_LABELS, "worker_type": {"WorkflowWorker", "LocalActivityWorker"}},
    "temporal_workflow_task_schedule_to_start_latency_bucket": {**_LABELS, "le": {"5", "10"}},
    "temporal_workflow_task_execution_failed": {
        **_LABELS,
        "workflow_type": set(),
        "failure_reason": {"NonDeterminismError", "GrpcMessageTooLarge", "PayloadsTooLarge", "WorkflowError"},
    },
    "temporal_request_failure": {"operation": set(), "status_code": {"RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}},
    "temporal_long_request_failure": {"operation": set(), "status_code": {"RESOURCE_EXHAUSTED"}},
    "temporal_request": {"operation": set()},
}
_changed: list[bool] = []


@activity.defn
async def swallow(said: str) -> None: ...


def _bytes(number: int) -> str:
    return "y" * number


@workflow.defn(sandboxed=False)
class Changes:
    @workflow.run
    async def run(self) -> None:
        if not _changed:
            await workflow.execute_activity(swallow, "", start_to_close_timeout=timedelta(minutes=1))
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def go_on(self) -> None: ...


@workflow.defn(sandboxed=False)
class SaysTooMuch:
    """In one payload, or in a message of many."""

    @workflow.run
    async def run(self, times: int, length: int) -> None:
        said = (
            workflow.execute_activity(swallow, _bytes(length), start_to_close_timeout=timedelta(minutes=1))
            for _ in range(times)
        )
        await asyncio.gather(*said)


@workflow.defn(sandboxed=False)
class Breaks:
    @workflow.run
    async def run(self) -> None:
        raise ValueError("a bug")


async def test_each_way_to_fail_is_told_under_the_name_that_its_alert_reads(temporal_env: WorkflowEnvironment) -> None:
    port = free_port()
    settings = Settings(database_url="postgresql://nowhere", temporal_metrics=f"{HOST}:{port}")
    client = await Client.connect(temporal_env.client.service_client.config.target_host, runtime=runtime(settings))

    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=30) as scraper:

        async def told(name: str, **labels: str) -> bool:
            exported = series((await scraper.get("/metrics")).text)
            return name in exported and all(value in exported[name].get(label, ()) for label, value in labels.items())

        async def failed(reason: str) -> None:
            await until(lambda: told("temporal_workflow_task_execution_failed", failure_reason=reason))

        async with Worker(
            client,
            task_queue=_QUEUE,
            workflows=[Changes, SaysTooMuch, Breaks],
            activities=[swallow],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=0,
        ):
            changes = await client.start_workflow(Changes.run, id="changes", task_queue=_QUEUE)
            much = await client.start_workflow(SaysTooMuch.run, args=[8, 1_000_000], id="much", task_queue=_QUEUE)
            one = await client.start_workflow(SaysTooMuch.run, args=[1, 3_000_000], id="one", task_queue=_QUEUE)
            breaks = await client.start_workflow(Breaks.run, id="breaks", task_queue=_QUEUE)
            await failed("GrpcMessageTooLarge")
            await failed("PayloadsTooLarge")
            await failed("WorkflowError")
            await until(lambda: told("temporal_activity_schedule_to_start_latency_bucket", task_queue=_QUEUE))
            _changed.append(True)
            await changes.signal(Changes.go_on)
            await failed("NonDeterminismError")
            for name, labels in OF_TEMPORAL.items():
                if name == "temporal_long_request_failure":
                    continue  # of polls, which a server at its limit refuses
                values = {"task_queue": _QUEUE} if "task_queue" in labels else {}
                assert await told(name, **values), name
            assert await told("temporal_num_pollers", poller_type="workflow_task")
            assert await told("temporal_worker_task_slots_used", worker_type="LocalActivityWorker")
            assert await told("temporal_workflow_task_schedule_to_start_latency_bucket", le="5")
            assert await told("temporal_request_failure", status_code="RESOURCE_EXHAUSTED")
            for each in (changes, much, one, breaks):
                with suppress(RPCError):  # what is too large for a message, the server ends by itself
                    await each.terminate()
