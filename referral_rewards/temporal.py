"""How an entry point reaches Temporal, with the one spelling of our workflows' ids."""

from datetime import date

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime

from referral_rewards.config.settings import Settings
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES

__all__ = [
    "SEARCH_ATTRIBUTES",
    "clawback_workflow_id",
    "connect",
    "cycle_schedule_id",
    "cycle_workflow_id",
    "payout_workflow_id",
    "reconciliation_workflow_id",
    "workflow_id",
]


def workflow_id(referral: str) -> str:
    """The id of a referral's workflow, the same for its whole life."""
    return f"referral-{referral}"


def payout_workflow_id(payout: str) -> str:
    """The id of the workflow that carries out one payout."""
    return f"payout-{payout}"


def clawback_workflow_id(clawback: str) -> str:
    """The id of the workflow that carries out one reversal."""
    return f"clawback-{clawback}"


def cycle_workflow_id(program: str, due_on: date) -> str:
    """The id of the workflow of a program's payout cycle of that day."""
    return f"payout-cycle-{program}-{due_on.isoformat()}"


def cycle_schedule_id(program: str) -> str:
    """The id of the schedule by which a program's payout cycles fall due."""
    return f"payout-cycle-{program}"


def reconciliation_workflow_id(reconciliation: str) -> str:
    """The id of the workflow of one reconciliation."""
    return f"reconcile-{reconciliation}"


async def connect(settings: Settings, *, runtime: Runtime | None = None) -> Client:
    """A client for the server that ``TEMPORAL_*`` or a profile names, else for the local stack's, else for localhost.

    Raises RuntimeError when the server does not answer.
    """
    target = ClientConfig.load_client_connect_config()
    if "target_host" not in target:
        stack = settings.stack()
        target["target_host"] = stack.temporal if stack else "127.0.0.1:7233"
    return await Client.connect(**target, data_converter=pydantic_data_converter, runtime=runtime)
