"""Carries out what people decided on a program: whatever it concerns is judged or sent again."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import VersioningBehavior

from activities.messages import ProgramProgress, ProgramRequest
from workflows.turns import UNTIL_IT_WORKS

with workflow.unsafe.imports_passed_through():
    from activities.programs import Programs
    from referral_rewards.workflow_ids import BORROWED, is_anothers, program_workflow_id


@workflow.defn(name="ProgramLife", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class ProgramLife:
    """The acts on one program. It receives only the program's name: the register holds the signed acts.

    After each act, and when one takes effect, it wakes the referrals and payouts that the act concerns, page by page.
    It decides nothing, and ends once nothing more is to come. The signal ``news`` makes it begin anew.
    """

    def __init__(self) -> None:
        self._news = False

    @workflow.run
    async def run(self, program: str, so_far: ProgramProgress | None = None) -> str | None:
        if is_anothers(workflow.info().workflow_id, program_workflow_id(program)):
            return BORROWED
        while True:
            if so_far is None or so_far.after is None:
                self._news = False
            so_far = await self._wake_page(program, so_far)
            if so_far.after is None and not self._news:
                if so_far.again_at is None:
                    return None
                await self._wait_until(so_far.again_at)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[program, so_far])

    @workflow.signal
    def news(self, *subject: Any) -> None:
        """An act on the program was decided, or its budget was published anew."""
        self._news = True

    async def _wake_page(self, program: str, so_far: ProgramProgress | None) -> ProgramProgress:
        goes_on = so_far is not None and so_far.after is not None
        return await workflow.execute_activity_method(
            Programs.wake_page,
            ProgramRequest(
                program=program,
                now=workflow.now(),
                after=so_far.after if so_far is not None else None,
                told=so_far.told if so_far is not None and goes_on else None,
            ),
            start_to_close_timeout=timedelta(minutes=2),
            retry_policy=UNTIL_IT_WORKS,
            summary="Wake what the acts on the program concern",
        )

    async def _wait_until(self, again_at: datetime) -> None:
        workflow.set_current_details(f"The next act takes effect at {again_at.isoformat()}")
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news,
                timeout=max(again_at - workflow.now(), timedelta(0)),
                timeout_summary="Until the next act takes effect",
            )
