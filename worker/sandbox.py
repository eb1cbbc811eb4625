"""The sandbox that workflow code runs in, entered only to run workflow code."""

from collections.abc import Sequence
from typing import Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info, _Definition

from worker import starts

#: Pure modules that workflow code may share with the process, because they hold no state and read no clock. Importing
#: them anew for every workflow would be slow.
_PURE: Final = ("referral_rewards", "activities", "models", "pydantic", "pydantic_core", "annotated_types")
#: The workflows that a sandbox has loaded once. A worker that starts again in this process holds the same code.
_loaded: Final[set[type]] = set()
_NOWHERE: Final = StorageDriverStoreContext(target=None)


def runner(*, versioned: bool = False) -> WorkflowRunner:
    """Return the sandbox of our workflows, for a client whose data converter is the same for every payload.

    ``versioned`` says whether its worker takes part in Worker Versioning. The server refuses a versioning behavior from
    any other worker.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_PURE)
    return _Runner(SandboxedWorkflowRunner(restrictions=restrictions), versioned=versioned)


class _Runner(WorkflowRunner):
    """A sandbox whose instances name no context of a payload.

    The SDK asks for the context a dozen times in each workflow task, and each time enters the sandbox: that was a third
    of the time of a wake-up. Our converter ignores the context. A codec that depends on it would need it again.
    """

    def __init__(self, sandbox: WorkflowRunner, *, versioned: bool) -> None:
        self._sandbox = sandbox
        self._versioned = versioned

    def prepare_workflow(self, defn: _Definition) -> None:
        if defn.cls not in _loaded:
            self._sandbox.prepare_workflow(defn)
            _loaded.add(defn.cls)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Instance(det, self._sandbox.create_instance(det), versioned=self._versioned)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._sandbox.set_worker_level_failure_exception_types(types)


class _Instance(WorkflowInstance):
    """A workflow in its sandbox, which it never enters if it was started with arguments that are not its own."""

    def __init__(self, det: WorkflowInstanceDetails, sandboxed: WorkflowInstance, *, versioned: bool) -> None:
        self._defn = det.defn
        self._converter = det.payload_converter_factory
        self._sandboxed = sandboxed
        self._versioned = versioned
        self._is_refused = False

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if self._is_refused:
            return starts.nothing_more(act)
        for job in act.jobs:
            if job.HasField("initialize_workflow"):
                why = starts.objection(self._defn, job.initialize_workflow.arguments, self._converter())
                if why is not None:
                    self._is_refused = True
                    return starts.refused(why)
        completion = self._sandboxed.activate(act)
        if not self._versioned and completion.HasField("successful"):
            completion.successful.ClearField("versioning_behavior")
        return completion

    def get_serialization_context(self, command_info: object) -> SerializationContext | None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return _NOWHERE

    def get_info(self) -> Info:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()
