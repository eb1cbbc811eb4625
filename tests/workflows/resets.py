"""Setting a run back to a workflow task of its history, as an operator does with `temporal workflow reset`."""

from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client


async def tasks_of(client: Client, workflow: str) -> tuple[str, list[int]]:
    """The run of a workflow, and the workflow tasks that it can be set back to."""
    history = await client.get_workflow_handle(workflow).fetch_history()
    done = [e.event_id for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    return history.run_id, done


async def set_back(client: Client, workflow: str, run: str, task: int) -> None:
    """Ends the run and begins another with its history up to that task."""
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow, run_id=run),
            reason="a test",
            request_id=str(uuid4()),
            workflow_task_finish_event_id=task,
        )
    )
