"""How a step is taken: once in the worker that runs the workflow, and through the server if that fails."""

from collections import Counter
from datetime import timedelta
from typing import Final
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.moment import beating
from tests.workflows.test_life import actions
from workflows.turns import Turn

_AGAIN_SOON: Final = RetryPolicy(initial_interval=timedelta(milliseconds=1), backoff_coefficient=1)


class Steps:
    """Activities that fail as often as they are told, and note where each attempt was made."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.attempts: list[str] = []

    @activity.defn
    async def step(self, name: str) -> str:
        self.attempts.append("here" if activity.info().is_local else "through the server")
        async with beating():
            if len(self.attempts) <= self.failures:
                raise ConnectionError("the database does not answer")
        return f"{name} done"


_STEP: Final = Turn(Steps.step, summary="Step", patience=timedelta(seconds=5), retries=_AGAIN_SOON)


@workflow.defn
class TakesAStep:
    @workflow.run
    async def run(self, name: str) -> str:
        return await _STEP.take(name)


async def _taken(environment: WorkflowEnvironment, steps: Steps) -> WorkflowHistory:
    queue = f"turns-{uuid4().hex[:8]}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        environment.client, task_queue=queue, workflows=[TakesAStep], activities=[steps.step], workflow_runner=runner
    ):
        handle = await environment.client.start_workflow(TakesAStep.run, "it", id=queue, task_queue=queue)
        assert await handle.result() == "it done"
        return await handle.fetch_history()


async def test_a_step_that_works_is_taken_in_the_worker_alone(temporal_env: WorkflowEnvironment) -> None:
    steps = Steps()
    history = await _taken(temporal_env, steps)
    assert steps.attempts == ["here"]
    assert actions(list(history.events)) == {"start": 1, "workflow task with local activities": 1}


@pytest.mark.parametrize("failures", [1, 25])
async def test_an_outage_is_waited_out_through_the_server_and_does_not_fill_the_history(
    temporal_env: WorkflowEnvironment, failures: int
) -> None:
    steps = Steps(failures)
    history = await _taken(temporal_env, steps)
    assert Counter(steps.attempts) == {"here": 1, "through the server": failures}
    assert len(history.events) <= 12
    scheduled = [e for e in history.events if e.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    assert len(scheduled) == 1
