"""Connects an entry point to Temporal, and gives the ids of our workflows there."""

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime

from referral_rewards.config.settings import Settings
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES
from referral_rewards.workflow_ids import (
    clawback_workflow_id,
    cycle_schedule_id,
    cycle_workflow_id,
    payout_workflow_id,
    program_workflow_id,
    reconciliation_workflow_id,
    workflow_id,
)

__all__ = [
    "SEARCH_ATTRIBUTES",
    "clawback_workflow_id",
    "connect",
    "cycle_schedule_id",
    "cycle_workflow_id",
    "payout_workflow_id",
    "program_workflow_id",
    "reconciliation_workflow_id",
    "workflow_id",
]


async def connect(settings: Settings, *, runtime: Runtime | None = None) -> Client:
    """Connect to the server that ``TEMPORAL_*`` or a profile names, else to the local stack's, else to localhost.

    Raises:
        RuntimeError: if the server does not answer.
    """
    target = ClientConfig.load_client_connect_config()
    if "target_host" not in target:
        stack = settings.stack()
        target["target_host"] = stack.temporal if stack else "127.0.0.1:7233"
    return await Client.connect(**target, data_converter=pydantic_data_converter, runtime=runtime)
