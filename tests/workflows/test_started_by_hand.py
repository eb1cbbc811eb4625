"""Runs that somebody started by hand with arguments that are not the workflow's: each ends, and none moves anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from tests.installation import Installation
from tests.workflows.scenes import payouts_at_work, referrals_at_work, scene, sql
from worker.build import PAYOUT_WORKFLOWS, REFERRAL_WORKFLOWS
from worker.starts import START_REFUSED

#: How many arguments each of our workflows needs, and takes at most.
TAKES: Final = {
    **dict.fromkeys(("Referral", "Payout", "Clawback", "PayoutCycle", "PayoutCycleDue", "SourcePull"), (1, 1)),
    **dict.fromkeys(("ProgramLife", "Reconciliation"), (1, 2)),
    "RegisterMark": (0, 1),
}
OURS: Final = {each.__name__: each for each in (*REFERRAL_WORKFLOWS, *PAYOUT_WORKFLOWS)}
UNDECODABLE: Final = {
    "no JSON": Payload(metadata={"encoding": b"json/plain"}, data=b"{"),
    "a form that nobody knows": Payload(metadata={"encoding": b"binary/other"}, data=b"x"),
    "no form at all": Payload(data=b"x"),
}
#: What is no id, beside that.
NO_IDS: Final[dict[str, Any]] = {
    "another type": {"a": 1},
    "a number": 7,
    "nothing": None,
    "an empty text": "",
    "a zero character": "r\0",
    "a text without end": "r" * 1001,
}


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        yield life


def test_every_workflow_of_ours_is_tried() -> None:
    assert set(TAKES) == set(OURS)


def wrong_arguments(name: str) -> dict[str, list[Any]]:
    needed, most = TAKES[name]
    found: dict[str, list[Any]] = {what: [RawValue(payload)] for what, payload in UNDECODABLE.items()}
    found["too many"] = ["r1"] * (most + 1)
    if needed:
        found |= {"too few": [], **{what: [value] for what, value in NO_IDS.items()}}
        found["half a character"] = [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b'"\\ud800"'))]
    return found


async def ended(client: Client, name: str, arguments: list[Any], queue: str) -> str:
    """The message of the failure that the run ends with, without any retry."""
    handle = await client.start_workflow(name, args=arguments, id=f"by-hand-{uuid4()}", task_queue=queue)
    with pytest.raises(WorkflowFailureError) as caught:
        await asyncio.wait_for(handle.result(), 30)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (START_REFUSED, True)
    events = [event async for event in handle.fetch_history_events()]
    assert len(events) == 5, "started, one task, and the end"
    return cause.message


async def test_a_run_with_wrong_arguments_ends_at_once_and_says_why(life: Installation) -> None:
    client, before = life.environment.client, await counted(life)
    async with referrals_at_work(life), payouts_at_work(life):
        queues = {each.__name__: f"{life.queue}-referrals" for each in REFERRAL_WORKFLOWS}
        tried = [
            (name, what, ended(client, name, given, queues.get(name, f"{life.queue}-payouts")))
            for name in OURS
            for what, given in wrong_arguments(name).items()
        ]
        said = await asyncio.gather(*(each for *_, each in tried))
    for (name, what, _), why in zip(tried, said, strict=True):
        wanted = f"{name} takes" if what in ("too few", "too many") else name
        assert wanted in why, (name, what, why)
    assert await counted(life) == before


async def test_a_run_for_what_does_not_exist_ends_or_waits_and_moves_nothing(life: Installation) -> None:
    """Well-formed names of nothing: the run finds nothing in the register."""
    client, before = life.environment.client, await counted(life)
    async with referrals_at_work(life), payouts_at_work(life):
        for name in (
            "Payout",
            "Clawback",
            "PayoutCycle",
            "PayoutCycleDue",
            "Referral",
            "ProgramLife",
            "Reconciliation",
            "SourcePull",
        ):
            queue = (
                f"{life.queue}-referrals"
                if name in {each.__name__ for each in REFERRAL_WORKFLOWS}
                else f"{life.queue}-payouts"
            )
            handle = await client.start_workflow(name, "nowhere", id=f"by-hand-{uuid4()}", task_queue=queue)
            with suppress(WorkflowFailureError):
                await asyncio.wait_for(handle.result(), 60)
    assert await counted(life) == before


async def counted(life: Installation) -> tuple[int, ...]:
    """How many rows tell of money, referrals and acts."""
    [row] = await sql(
        life,
        "SELECT (SELECT count(*) FROM payout), (SELECT count(*) FROM payout_step), (SELECT count(*) FROM clawback),"
        " (SELECT count(*) FROM posting), (SELECT count(*) FROM payout_cycle), (SELECT count(*) FROM referral),"
        " (SELECT count(*) FROM decision), (SELECT count(*) FROM reconciliation)",
    )
    return tuple(row)
