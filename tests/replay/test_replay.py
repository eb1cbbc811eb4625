"""Runs that are months old go on under today's code: each finished way of a referral is replayed from its history."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner

from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.replay.histories import CYCLE, FOLDER, MARK, PAYOUT, PROGRAM, PULL, RECONCILIATION, WAYS
from worker.sandbox import runner
from workflows import steps
from workflows.clawback import Clawback
from workflows.payout import Payout
from workflows.payout_cycle import PayoutCycle
from workflows.program_life import ProgramLife
from workflows.reconciliation import Reconciliation
from workflows.referral import Referral
from workflows.register_mark import RegisterMark
from workflows.source_pull import SourcePull

HISTORIES = sorted(FOLDER.glob("*.json"))
OF_NO_REFERRAL = (RECONCILIATION, PAYOUT, CYCLE, PROGRAM, MARK, PULL)
CLASSES = (Referral, Payout, Clawback, PayoutCycle, ProgramLife, Reconciliation, RegisterMark, SourcePull)


def _replayer(*classes: type, with_runner: WorkflowRunner | None = None) -> Replayer:
    return Replayer(workflows=classes, data_converter=pydantic_data_converter, workflow_runner=with_runner or runner())


def _history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


def test_every_way_a_referral_can_go_has_its_history_on_record() -> None:
    others = {"payout", "clawback", *OF_NO_REFERRAL}
    assert {path.stem for path in HISTORIES} == {*WAYS, *others}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_history_on_record_replays_command_by_command(path: Path) -> None:
    await _replayer(*CLASSES).replay_workflow(_history(path))


@workflow.defn(name="Referral")
class Hasty(Referral):
    """A referral that skips the wait for its return period: another sequence of commands."""

    @workflow.run
    async def run(self, referral: str) -> str:
        return await super().run(referral)

    async def wait_out_the_return_period(self) -> None:
        while steps.stands(self.journey, ReferralStatus.IN_RETURN_PERIOD):
            await steps.assemble_claim(self.journey)


async def test_a_changed_sequence_of_commands_fails_the_replay() -> None:
    replayer = _replayer(Hasty, with_runner=UnsandboxedWorkflowRunner())
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(_history(FOLDER / "rewarded.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_no_identity_of_a_person_enters_a_history(path: Path) -> None:
    """Neither the referee's email nor the customer id, by which the facts of every way name her."""
    referee = path.stem.replace("_", "-")
    said = list(_texts(json.loads(path.read_text())))
    assert any(referee in text for text in said) or path.stem in {"payout", "clawback", *OF_NO_REFERRAL}
    assert not [text for text in said if "@" in text or f"c-{referee}" in text]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a history, those inside payloads decoded."""
    match value:
        case {"metadata": dict(), "data": str(payload)}:
            yield base64.b64decode(payload).decode()
        case dict():
            for each in value.values():
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)
        case str():
            yield value
