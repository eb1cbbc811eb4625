"""Versions of workers in a test: told apart by their build, made current, ramped, and asked which one a run is on."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from tests.patience import PATIENCE_SECONDS


@dataclass(frozen=True)
class Rollout:
    """A deployment of a test's own on a server."""

    client: Client
    name: str

    def version(self, build: str) -> WorkerDeploymentConfig:
        return WorkerDeploymentConfig(WorkerDeploymentVersion(self.name, build), use_worker_versioning=True)

    async def make_current(self, build: str) -> None:
        """Sends every new run, and all that go on with the newest code, to this build."""
        service = self.client.workflow_service
        await _once_known(
            lambda: service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=self.client.namespace, deployment_name=self.name, build_id=build, identity="a test"
                )
            )
        )
        await self._everywhere()

    async def ramp(self, build: str, percentage: float) -> None:
        """Sends so many of them to this build."""
        service = self.client.workflow_service
        await _once_known(
            lambda: service.set_worker_deployment_ramping_version(
                SetWorkerDeploymentRampingVersionRequest(
                    namespace=self.client.namespace,
                    deployment_name=self.name,
                    build_id=build,
                    percentage=percentage,
                    identity="a test",
                )
            )
        )
        await self._everywhere()

    async def _everywhere(self) -> None:
        """Returns once each task queue has heard of the last change, as far as the server tells: under load its state
        was seen to stay behind what it does."""
        asked = DescribeWorkerDeploymentRequest(namespace=self.client.namespace, deployment_name=self.name)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._told_everywhere(asked)

    async def _told_everywhere(self, asked: DescribeWorkerDeploymentRequest) -> None:
        while True:
            told = await self.client.workflow_service.describe_worker_deployment(asked)
            state = told.worker_deployment_info.routing_config_update_state
            if state == RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED:
                return
            await asyncio.sleep(0.05)


async def _once_known(ask: Any) -> None:
    """Asks until the server has heard of the version's pollers, and of each of its task queues."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await ask()
                return
            except RPCError as error:
                if error.status not in {RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.NOT_FOUND}:
                    raise
            await asyncio.sleep(0.1)


async def build_of(handle: WorkflowHandle[Any, Any]) -> tuple[str, str]:
    """The build that completed the run's last task, and the run's behavior."""
    info = (await handle.describe()).raw_description.workflow_execution_info.versioning_info
    return info.deployment_version.build_id, {0: "unspecified", 1: "pinned", 2: "auto_upgrade"}[info.behavior]
