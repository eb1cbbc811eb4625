"""Two builds of the workers at once under load, the newer with another workflow, and a rollback: nothing is lost.

The newer build is a copy of this source with one sentence more in the life of a referral. Both builds are processes of
their own, told apart by what a cluster sets.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from referral_rewards.payload_codec import Codec, converter
from referral_rewards.register import overdue
from tests.chaos.cluster import Cluster, cluster, until
from tests.chaos.test_random import REFERRALS, _everything_adds_up
from tests.worker.rollouts import Rollout, build_of
from tests.workflows.scenes import lived_until_review
from worker.histories import Choice, of_server
from worker.replaying import Replaying

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

ROOT: Final = Path(__file__).parents[2]
_PACKAGES: Final = ("referral_rewards", "workflows", "activities", "models", "worker")
_BEFORE: Final = "            await self.wait_for_a_person()\n"
_CHANGED: Final = (
    '            if workflow.patched("breathe-before-a-person"):\n                await workflow.sleep(0.2)\n' + _BEFORE
)


@pytest.fixture
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("rollout")) as running:
        yield running


def _changed_source(folder: Path) -> Path:
    """A copy of our packages in which a referral's workflow takes one command more."""
    for each in _PACKAGES:
        shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
    workflow = folder / "workflows" / "referral.py"
    text = workflow.read_text()
    assert text.count(_BEFORE) == 1
    workflow.write_text(text.replace(_BEFORE, _CHANGED))
    return folder


async def test_two_builds_under_load_and_a_rollback_lose_nothing_and_pay_once(whole: Cluster, tmp_path: Path) -> None:
    client = whole.life.environment.client
    rollout = Rollout(client, "rollout")
    old, new = _build("1", ROOT), _build("2", await asyncio.to_thread(_changed_source, tmp_path / "changed"))
    names = [f"r{number}" for number in range(REFERRALS)]
    third = REFERRALS // 3

    whole.further = old
    await whole.work()
    await rollout.make_current("1")
    await _told(whole, names[:third])
    await _ask_for_a_decision(whole, names[:third])

    # Half of all tasks go to the newer build, while referrals arrive and are decided on.
    whole.further = new
    newer = await whole.work()
    await rollout.ramp("2", 50)
    await asyncio.gather(_told(whole, names[third : 2 * third]), _decided(whole, names[:third]))
    await _ask_for_a_decision(whole, names[third : 2 * third])
    await rollout.make_current("2")
    await asyncio.gather(_told(whole, names[2 * third :]), _decided(whole, names[third : third + 2]))
    await _ask_for_a_decision(whole, names[2 * third :])
    builds = Counter([(await build_of(whole.life.handle(name)))[0] for name in names])
    assert builds["2"], builds

    # Back. Whatever took the newer build's command does not fit the older one, and is started again from the register.
    await rollout.make_current("1")
    unfit = [name for name in names if await _took_the_new_command(whole, name)]
    assert unfit
    choice = Choice(["Referral"], 0, None)
    told = [
        broken
        async for _, broken in Replaying(converter(Codec({}))).each(of_server(client, choice))
        if broken is not None
    ]
    assert {each.workflow_id for each in told} <= {whole.life.handle(name).id for name in unfit}
    assert told
    for name in [name for name in unfit if await _is_open(whole, name)]:
        await whole.life.handle(name).terminate()
    async with whole.life.database.transaction() as connection:
        await overdue.resync(connection)
    await until(lambda: _is_drained(whole), seconds=120)
    await newer.stop()
    whole.workers.remove(newer)

    await _decided(whole, names[third + 2 :])
    await until(lambda: whole.ask("SELECT 1 FROM referral HAVING bool_and(status = 'rewarded')"), seconds=180)
    await _everything_adds_up(whole)


def _build(build: str, source: Path) -> dict[str, str]:
    """The settings of a worker of this build. It imports nothing of the folder that it is started in."""
    named = {"TEMPORAL_DEPLOYMENT_NAME": "rollout", "TEMPORAL_WORKER_BUILD_ID": build}
    return named | {"PYTHONPATH": str(source), "PYTHONSAFEPATH": "1"}


async def _told(whole: Cluster, names: list[str]) -> None:
    for name in names:
        await lived_until_review(whole.life, name)


async def _ask_for_a_decision(whole: Cluster, names: list[str]) -> None:
    async def all_ask() -> bool:
        return {(await whole.life.row(name)).status for name in names} <= {"awaiting_approval"}

    await until(all_ask, seconds=180)


async def _decided(whole: Cluster, names: list[str]) -> None:
    for name in names:
        await whole.life.decide(name)


async def _took_the_new_command(whole: Cluster, name: str) -> bool:
    history = await whole.life.handle(name).fetch_history()
    return any(
        each.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
        and each.marker_recorded_event_attributes.marker_name == "core_patch"
        for each in history.events
    )


async def _is_open(whole: Cluster, name: str) -> bool:
    return (await whole.life.handle(name).describe()).status is WorkflowExecutionStatus.RUNNING


async def _is_drained(whole: Cluster) -> bool:
    """Whether no run is pinned to the newer build any more."""
    pinned = "TemporalWorkflowVersioningBehavior = 'Pinned' AND TemporalWorkerDeploymentVersion = 'rollout:2'"
    return not (await whole.life.environment.client.count_workflows(f"{pinned} AND CloseTime IS NULL")).count
