"""A claim that nobody decides, on durable timers: people are reminded, and nothing is ever decided."""

from datetime import timedelta
from typing import Any

from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.programs.terms import Role
from tests.workflows.journeys import LITTLE, Journey, in_review
from tests.workflows.scenes import before_its_approver, is_open, quiet, scene, sql


async def told(journey: Journey) -> list[tuple[str, str]]:
    """What was planned for the approvers, by template and recipient."""
    await quiet(journey.life, journey.referral)
    rows: list[Any] = await sql(
        journey.life, "SELECT template, recipient FROM notice WHERE audience = 'approvers' ORDER BY template, recipient"
    )
    return [tuple(row) for row in rows]


async def test_silence_is_reminded_of_and_escalated_and_never_pays(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with scene(database_url, temporal_env) as life, life.workers():
        await life.user("paula", Role.PROGRAM_OWNER)
        await life.user("oscar", Role.OPERATIONS)
        await life.user("fiona", Role.FINANCE)
        journey = Journey(life, "r1")
        await in_review(journey)
        before = 16 + LITTLE
        assert await told(journey) == []
        await journey.until(before + 2 - 2 * LITTLE)
        assert await told(journey) == []
        await journey.until(before + 2 + LITTLE)
        reminder = ("approval_reminder", "paula")
        assert await told(journey) == [reminder]
        await journey.until(before + 5 + LITTLE)
        escalated = [("approval_escalation", "oscar"), ("approval_escalation", "paula"), reminder]
        assert await told(journey) == escalated
        await journey.until(before + 60)
        assert await told(journey) == escalated
        row = await life.row("r1")
        assert (row.status, row.wake_at, row.deadline) == ("awaiting_approval", None, None)
        assert await is_open(life, "r1")
        assert await life.money() == {}
        assert await sql(life, "SELECT * FROM decision") == []


async def test_a_reward_is_told_once_it_is_paid_and_a_day_later_whoever_got_it_is_asked_how_it_was(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    async with scene(database_url, temporal_env) as life, life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1")
        row = await life.settled("r1", among=frozenset({"rewarded"}))
        told = await sql(
            life,
            "SELECT template, recipient, due_at - :at AS pause FROM notice WHERE template IN "
            "('rewarded', 'satisfaction_survey') ORDER BY template, recipient",
            at=row.rewarded_at,
        )
        assert [tuple(each) for each in told] == [
            *(("rewarded", name, timedelta(0)) for name in ("c-r1", "dexter")),
            *(("satisfaction_survey", name, timedelta(days=1)) for name in ("c-r1", "dexter")),
        ]
