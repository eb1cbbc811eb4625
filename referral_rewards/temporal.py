"""Connects an entry point to Temporal, and gives the ids of our workflows there."""

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from referral_rewards.config.settings import Settings
from referral_rewards.domain.restores.mark import Mark
from referral_rewards.payload_codec import Codec, converter
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES
from referral_rewards.workflow_ids import (
    MEMO_OF_MARK,
    REGISTER_MARK,
    clawback_workflow_id,
    cycle_schedule_id,
    cycle_workflow_id,
    payout_workflow_id,
    program_workflow_id,
    reconciliation_workflow_id,
    workflow_id,
)

__all__ = [
    "REGISTER_MARK",
    "SEARCH_ATTRIBUTES",
    "clawback_workflow_id",
    "connect",
    "cycle_schedule_id",
    "cycle_workflow_id",
    "is_named",
    "kept_mark",
    "payout_workflow_id",
    "program_workflow_id",
    "reconciliation_workflow_id",
    "workflow_id",
]


def is_named(settings: Settings) -> bool:
    """Return whether a server is named, by ``TEMPORAL_*``, a profile or the local stack."""
    stack = settings.stack()
    return "target_host" in ClientConfig.load_client_connect_config() or bool(stack and stack.temporal)


async def connect(settings: Settings, *, runtime: Runtime | None = None) -> Client:
    """Connect to the server that ``TEMPORAL_*`` or a profile names, else to the local stack's, else to localhost.

    Raises:
        RuntimeError: if the server does not answer.
    """
    target = ClientConfig.load_client_connect_config()
    if "target_host" not in target:
        stack = settings.stack()
        target["target_host"] = stack.temporal if stack else "127.0.0.1:7233"
    codec = Codec(settings.payload_key_bytes())
    return await Client.connect(**target, data_converter=converter(codec), runtime=runtime)


async def kept_mark(client: Client, name: str = REGISTER_MARK) -> Mark | None:
    """Return the register's mark as Temporal keeps it; None if it keeps none.

    Raises:
        RPCError: if the server does not answer.
        RuntimeError: if the mark is sealed with a key that we do not have: nothing can be said of the register then.
    """
    try:
        found = await client.get_workflow_handle(name).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    try:
        kept: Mark | None = await found.memo_value(MEMO_OF_MARK, default=None, type_hint=Mark)
    except KeyError:  # of an encoding that no key of ours opened
        raise RuntimeError("the register's mark is sealed with a key that REFERRALS_PAYLOAD_KEYS lacks") from None
    return kept
