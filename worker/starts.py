"""Whether what a run was started with fits its workflow: anybody with a client can start one by hand.

The SDK would fail the workflow task of a start that it can't read, and try it again for ever. Such a run ends instead.
"""

import inspect
from collections.abc import Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import PayloadConverter
from temporalio.workflow import _Definition

from referral_rewards.payload_codec import key_name

#: The type of the failure that such a run ends with.
START_REFUSED: Final = "StartRefused"
#: Longer than any id of ours.
_LONGEST: Final = 1000


def objection(defn: _Definition, arguments: Sequence[Payload], converter: PayloadConverter) -> str | None:
    """Return why a run of this workflow can't begin with these arguments, or None. It never repeats what they hold.

    One that is sealed by a key that this worker lacks is no wrong argument: the run waits until the key is there.
    """
    taken = list(inspect.signature(defn.run_fn).parameters.values())[1:]
    needed = sum(each.default is each.empty for each in taken)
    if not needed <= len(arguments) <= len(taken):
        number = str(needed) if needed == len(taken) else f"{needed} to {len(taken)}"
        return f"{defn.name} takes {number} arguments and was given {len(arguments)}"
    if any(key_name(each) is not None for each in arguments):
        return None
    types = (defn.arg_types or [])[: len(arguments)]
    try:
        values = converter.from_payloads(arguments, types)
    except Exception as error:  # whatever a converter or a codec of somebody else's makes of it
        return f"the arguments of {defn.name} can't be read ({type(error).__name__})"
    ids = [value for value, type_ in zip(values, types, strict=False) if type_ is str]
    return None if all(map(_may_be_an_id, ids)) else f"an argument of {defn.name} is no id"


def _may_be_an_id(value: object) -> bool:
    """Return whether it is a text that an id of ours could be, and that the database and the server can take. Nothing
    at all is read as None, whatever type is asked for."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST
        and not any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value)
    )


def refused(why: str) -> WorkflowActivationCompletion:
    """Return the completion that ends a run for good."""
    completion = WorkflowActivationCompletion()
    failure = completion.successful.commands.add().fail_workflow_execution.failure
    failure.message = why
    failure.source = "PythonSDK"
    failure.application_failure_info.type = START_REFUSED
    failure.application_failure_info.non_retryable = True
    return completion


def nothing_more(act: WorkflowActivation) -> WorkflowActivationCompletion:
    """Return the completion of a later activation of such a run: there is nothing to do, and nothing to be asked."""
    completion = WorkflowActivationCompletion()
    completion.successful.SetInParent()
    for job in act.jobs:
        if job.HasField("query_workflow"):
            answer = completion.successful.commands.add().respond_to_query
            answer.query_id = job.query_workflow.query_id
            answer.failed.message = "the run was refused at its start"
    return completion
