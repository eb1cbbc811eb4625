"""The life of whatever moves money: step by step until its rail answers for good or a person must look."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow

from activities.messages import PayoutProgress
from workflows.turns import Turn

with workflow.unsafe.imports_passed_through():
    from referral_rewards.workflow_ids import BORROWED, is_anothers

P = TypeVar("P")


class Moving:
    """Carries out one payment or one reversal. Its activity verifies the signed decision before every step that moves
    money.

    The signal ``news`` is only a hint. If it is forged, lost or sent twice, the intent is at most checked once more and
    looked up at its provider.
    """

    def __init__(self) -> None:
        self.progress: PayoutProgress | None = None
        self._news = False

    @workflow.signal
    def news(self, *subject: Any) -> None:
        """Something new may concern it: a decision, or a report from its provider."""
        self._news = True

    @workflow.query
    def status(self) -> PayoutProgress | None:
        return self.progress

    async def _step(self, name: str) -> PayoutProgress:
        """Take the next step of the intent."""
        raise NotImplementedError

    async def _live(self, name: str, own_id: Callable[[str], str]) -> str:
        """Return the state in which the intent comes to rest. ``own_id`` gives the id of its only workflow."""
        if is_anothers(workflow.info().workflow_id, own_id(name)):
            return BORROWED
        while True:
            self._news = False
            self.progress = await self._step(name)
            if self.progress.again_after is None and not self._news:
                return self.progress.state
            if self.progress.again_after:
                await self._wait(self.progress, self.progress.again_after)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(name)

    async def _wait(self, progress: PayoutProgress, duration: timedelta) -> None:
        workflow.set_current_details(f"**{progress.state}**: {progress.why or 'tries again'}")
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._news, timeout=duration, timeout_summary=f"Until the next try ({progress.state})"
            )


async def taken(step: Turn[P, PayoutProgress], request: P) -> PayoutProgress:
    """Take a step: here, if it moves money in our own books, else on the task queue of its provider. There the server
    enforces the provider's rate limit."""
    progress = await step.take(request)
    return progress if progress.queue is None else await step.take_at(progress.queue, request)
