"""A namespace that lacks a search attribute: who says so, and how what waits goes on (a real server without it)."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from referral_rewards.api.watching import watch_namespace
from referral_rewards.local.embedded import temporal_cli
from referral_rewards.namespace import Namespace
from referral_rewards.search_attributes import REWARD_MINOR, SEARCH_ATTRIBUTES, STATUS, TYPE_NAMES, to_add
from tests.desk import Desk, life_of
from tests.installation import Installation
from worker.process import name_what_is_missing
from worker.relay import NotDelivered

_DEADLINE: Final = timedelta(seconds=60)


@asynccontextmanager
async def _server_without(*attributes: SearchAttributeKey[Any]) -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_cli(),
        dev_server_log_level="error",
        dev_server_startup_timeout=timedelta(seconds=120),
        search_attributes=[each for each in SEARCH_ATTRIBUTES if each not in attributes],
        data_converter=pydantic_data_converter,
    ) as environment:
        yield environment


def test_the_command_adds_each_missing_attribute_with_its_type() -> None:
    assert to_add(["RewardMinor", "ReferralStatus"], "default") == (
        "temporal operator search-attribute create --name ReferralStatus --type Keyword --name RewardMinor --type Int"
    )
    assert to_add(["ReferralStatus"], "rewards.prod").startswith("temporal operator search-attribute create ")
    assert to_add(["ReferralStatus"], "rewards.prod").endswith(" --namespace rewards.prod")


async def test_a_whole_namespace_lacks_nothing(temporal_env: WorkflowEnvironment) -> None:
    namespace = Namespace()
    assert await namespace.look(temporal_env.client) == ()
    assert namespace.problem is None


async def test_who_is_connected_says_what_is_missing_and_all_goes_on_once_it_is_added(
    desk: Desk,
) -> None:
    async with _server_without(STATUS) as without:
        await _lives_on(desk, without)


async def _lives_on(desk: Desk, without: WorkflowEnvironment) -> None:
    namespace, life = desk.parts.namespace, Installation(desk.database, without, "q")
    assert (await desk.api.get("/readyz")).json() == {"status": "ok"}
    command = f"temporal operator search-attribute create --name {STATUS.name} --type Keyword"
    async with _watched(namespace, without) as logs:
        await _until(lambda: namespace.missing == (STATUS.name,))
        answer = await desk.api.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:referrals:namespace-incomplete")
        assert command in answer.json()["detail"]
        assert "referrals_search_attributes_missing 1.0" in await desk.metrics()
        (told,) = [each for each in logs if each["event"] == "search_attributes_missing"]
        assert (told["log_level"], told["missing"], told["add"]) == ("error", STATUS.name, command)

        assert (await desk.tell(life_of("r1"))).status_code == 202
        with pytest.raises(NotDelivered):
            await life.relay.deliver()
        (waits,) = [each for each in logs if each["event"] == "not_delivered"]
        assert (waits["wakeups"], waits["first"], STATUS.name in waits["why"]) == (1, "r1", True)
        assert (await desk.get("/v1/referrals/r1")).json()["reason"] == "not_started"
        (listed,) = (await desk.get("/v1/referrals")).json()["referrals"]
        assert (listed["status"], listed["reason"]) == (None, "not_started")
        async with desk.browser("paula") as browser:
            assert "workflow has not started yet" in (await browser.get("/referrals")).text

        _operate(without, "create", "--name", STATUS.name, "--type", TYPE_NAMES[STATUS.name])
        await _until(lambda: namespace.missing == ())
        assert [each["event"] for each in logs][-1] == "search_attributes_complete"
        assert (await desk.api.get("/readyz")).json() == {"status": "ok"}
        assert await _delivered(life) == 1
        assert (await life.handle("r1").describe()).status is WorkflowExecutionStatus.RUNNING


async def test_a_worker_says_so_before_it_serves_anything() -> None:
    async with _server_without(STATUS, REWARD_MINOR) as environment:
        with capture_logs() as logs:
            await name_what_is_missing(Namespace(), environment.client)
    (told,) = logs
    assert (told["event"], told["missing"]) == ("search_attributes_missing", f"{STATUS.name}, {REWARD_MINOR.name}")


@asynccontextmanager
async def _watched(
    namespace: Namespace, environment: WorkflowEnvironment
) -> AsyncIterator[list[MutableMapping[str, Any]]]:
    """What is logged while the API watches the namespace."""

    async def connect() -> Client:
        return environment.client

    with capture_logs() as logs:
        watching = asyncio.create_task(watch_namespace(namespace, connect, every_seconds=0.2))
        try:
            yield logs
        finally:
            watching.cancel()


async def _until(holds: Callable[[], bool]) -> None:
    ends = datetime.now(UTC) + _DEADLINE
    while not holds():
        assert datetime.now(UTC) < ends
        await asyncio.sleep(0.05)


async def _delivered(life: Installation) -> int:
    """Deliver, as the relay does again and again: the server's parts learn of a new attribute one after the other."""
    ends = datetime.now(UTC) + _DEADLINE
    while datetime.now(UTC) < ends:
        try:
            return await life.relay.deliver()
        except NotDelivered:
            await asyncio.sleep(0.2)
    raise AssertionError("it is not delivered")


def _operate(environment: WorkflowEnvironment, *arguments: str) -> None:
    address = environment.client.service_client.config.target_host
    command = [str(temporal_cli()), "operator", "search-attribute", *arguments, "--address", address]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
