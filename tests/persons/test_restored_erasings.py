"""A register that is restored to before an erasing erases the person again, by itself: real Temporal, two registers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.register.persons import erasing
from referral_rewards.temporal import kept_erasing_id
from tests import personal
from tests.audit.paid import lived
from tests.desk import Desk, days_ago, desk_after, event
from tests.patience import PATIENCE_SECONDS
from tests.persons.test_persons import asked, rows
from tests.snapshots import Snapshots
from worker.erasing import Erasing
from worker.kept_erasings import KeptErasings

_BACKUPS: Final = timedelta(days=30)
_STATES: Final = "SELECT id, waits, erased_at, asked_by, names FROM person_erasure"


@pytest.fixture
async def before(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as opened:
        yield opened


@pytest.fixture
async def restored(snapshots: Snapshots) -> AsyncIterator[Desk]:
    """The same register as it was before anything was erased."""
    async with desk_after(snapshots, lived) as opened:
        yield opened


async def asked_again(keeping: KeptErasings, wanted: int) -> None:
    """Compares until what is kept can be listed: Temporal lists a new run moments later."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        found = 0
        while (found := found + await keeping.compare(datetime.now(UTC))) < wanted:
            await asyncio.sleep(0.05)


async def test_who_was_erased_after_the_backup_is_erased_again_and_what_sources_tell_again_too(
    before: Desk, restored: Desk, temporal_env: WorkflowEnvironment
) -> None:
    queue, client = f"kept-{uuid4().hex}", temporal_env.client
    done = (await asked(before, "erase", customer="c-r1")).json()
    assert done["erased_at"] is not None
    keeping = KeptErasings(before.database.worker, client, _BACKUPS, queue=queue)
    assert await keeping.turn() > 0
    handle = client.get_workflow_handle(kept_erasing_id(done["id"]))
    assert (await handle.describe()).task_queue == queue
    assert await keeping.compare(datetime.now(UTC)) == 0, "this register lacks nothing"

    texts = str(await personal.bodies(restored.database))
    assert "r1@example.com" in texts
    other = KeptErasings(restored.database.worker, client, _BACKUPS, queue=queue)
    await asked_again(other, 1)
    await Erasing(restored.database.worker).turn()
    texts = str(await personal.bodies(restored.database))
    assert "r1@example.com" not in texts
    assert "r2@example.com" in texts, "nobody else is erased"
    (again,) = await rows(restored, _STATES)
    assert (str(again.id), again.asked_by, sorted(again.names)) == (
        done["id"],
        "what is kept of erasings",
        sorted(done["names"]),
    )
    acts = {row.act for row in await rows(restored, f"SELECT act FROM audit_event WHERE subject = '{again.id}'")}
    assert acts == {"person.erasing_restored"}, "it is carried out once sources have told again"

    # Sources tell again what the restore lost; what comes within a week is erased as well.
    about = {"person": {"customer": "c-r1", "email": "r1@example.com"}, "scope": "contact"}
    await restored.tell([event("e-again", "consent.granted", days_ago(0), about)])
    assert "r1@example.com" in str(await personal.bodies(restored.database))
    later = datetime.now(UTC) + timedelta(days=8)
    await restored.database.worker.write(erasing.go_on, later)
    assert "r1@example.com" not in str(await personal.bodies(restored.database))
    (again,) = await rows(restored, _STATES)
    assert (again.waits, again.erased_at) == ([], later)
    assert await other.compare(datetime.now(UTC)) == 0
    await handle.terminate()


async def test_a_request_that_waits_is_kept_too_and_once_more_when_it_is_carried_out(
    desk: Desk, temporal_env: WorkflowEnvironment
) -> None:
    await desk.referral("r1")
    waiting = (await asked(desk, "erase", customer="c-r1")).json()
    keeping = KeptErasings(desk.database.worker, temporal_env.client, _BACKUPS, queue=f"kept-{uuid4().hex}")
    handle = temporal_env.client.get_workflow_handle(kept_erasing_id(waiting["id"]))
    runs = set()
    for _ in range(2):
        await keeping.turn()
        runs.add((await handle.describe()).run_id)
    assert len(runs) == 1, "it is kept once"
    await desk.decide("r1", "deny", reason="evidence_insufficient")
    await desk.judge("r1")
    await Erasing(desk.database.worker).turn()
    await keeping.turn()
    assert (await handle.describe()).run_id not in runs, (
        "for as long as there are backups from before it was carried out"
    )
    await handle.terminate()
