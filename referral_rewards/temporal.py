"""Connects an entry point to Temporal, and gives the ids of our workflows there."""

from collections.abc import Sequence

from temporalio.client import Client, Interceptor
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import StackInfo
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.restores.mark import Mark
from referral_rewards.payload_codec import Codec, converter
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES
from referral_rewards.workflow_ids import (
    MEMO_OF_MARK,
    REGISTER_MARK,
    clawback_workflow_id,
    cycle_schedule_id,
    cycle_workflow_id,
    kept_erasing_id,
    payout_workflow_id,
    program_workflow_id,
    pull_id,
    reconciliation_workflow_id,
    workflow_id,
)

__all__ = [
    "REGISTER_MARK",
    "SEARCH_ATTRIBUTES",
    "clawback_workflow_id",
    "connect",
    "connect_beside",
    "cycle_schedule_id",
    "cycle_workflow_id",
    "is_named",
    "kept_erasing_id",
    "kept_mark",
    "payout_workflow_id",
    "program_workflow_id",
    "pull_id",
    "reconciliation_workflow_id",
    "workflow_id",
]


def is_named(settings: Settings) -> bool:
    """Return whether a server is named, by ``TEMPORAL_*``, a profile or the local stack.

    Raises:
        BadInput: as `target` does.
    """
    stack = settings.stack()
    return "target_host" in target() or bool(stack and stack.temporal)


def target() -> ClientConnectConfig:
    """Return the server that ``TEMPORAL_*`` or a profile names, and how it lets us in: by an API key, or by a client
    certificate (mTLS). Without ``target_host`` none is named.

    Raises:
        BadInput: if they contradict each other, name a file that can't be read, or would send the API key in clear.
    """
    try:
        found = ClientConfig.load_client_connect_config()
    except OSError as error:
        raise BadInput([Problem("TEMPORAL_TLS_*", f"can't read {error.filename}: {error.strerror}")]) from None
    except RuntimeError as error:
        raise BadInput([Problem("TEMPORAL_*", str(error).strip().splitlines()[0])]) from None
    if (problem := _unsafe(found)) is not None:
        raise BadInput([problem])
    return found


def _unsafe(found: ClientConnectConfig) -> Problem | None:
    tls = found.get("tls", False)
    if "api_key" in found and tls is False:
        return Problem("TEMPORAL_TLS", "is off, and TEMPORAL_API_KEY would be sent in clear; leave it out")
    if isinstance(tls, TLSConfig) and (tls.client_cert is None) is not (tls.client_private_key is None):
        missing = "KEY" if tls.client_private_key is None else "CERT"
        return Problem(f"TEMPORAL_TLS_CLIENT_{missing}_PATH", "not set; a client certificate needs both")
    return None


async def connect(
    settings: Settings, *, runtime: Runtime | None = None, interceptors: Sequence[Interceptor] = ()
) -> Client:
    """Connect to the server that ``TEMPORAL_*`` or a profile names, else to the local stack's, else to localhost.

    Raises:
        BadInput: as `target` does.
        RuntimeError: if the server does not answer, or does not let us in.
    """
    codec = Codec(settings.payload_key_bytes())
    return await connect_beside(settings.stack(), codec, runtime=runtime, interceptors=interceptors)


async def connect_beside(
    stack: StackInfo | None, codec: Codec, *, runtime: Runtime | None = None, interceptors: Sequence[Interceptor] = ()
) -> Client:
    """Connect like `connect`, with the local stack that runs here, if any: for what needs no other setting.

    Raises:
        BadInput: as `target` does.
        RuntimeError: if the server does not answer, or does not let us in.
    """
    found = target()
    if "target_host" not in found:
        found["target_host"] = stack.temporal if stack else "127.0.0.1:7233"
    return await Client.connect(**found, data_converter=converter(codec), runtime=runtime, interceptors=interceptors)


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
