"""A pull: ask a source for what happened since the last time, page by page."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

from activities.messages import PullRequest
from workflows.turns import UNTIL_IT_WORKS

with workflow.unsafe.imports_passed_through():
    from activities.pulls import Pulls
    from referral_rewards.workflow_ids import BORROWED, is_anothers, pull_id

#: Time for one page: what is asked for it, and keeping it.
_PAGE: Final = timedelta(minutes=4)


@workflow.defn(name="SourcePull", versioning_behavior=VersioningBehavior.PINNED)
class SourcePull:
    """One pull of a source. It receives only its name; where to go on stands in the register, so that a pull may break
    off anywhere, or run twice at once.

    A source that does not answer is asked again after a while, a few times; then the next pull goes on.
    """

    @workflow.run
    async def run(self, source: str) -> str | None:
        if is_anothers(workflow.info().workflow_id, pull_id(source)):
            return BORROWED
        troubles = 0
        while True:
            # Never in the worker itself: it asks outside.
            progress = await workflow.execute_activity_method(
                Pulls.pull_page,
                PullRequest(source=source, troubles=troubles),
                start_to_close_timeout=_PAGE,
                retry_policy=UNTIL_IT_WORKS,
                summary="Ask for a page and keep it",
            )
            if not progress.more:
                return None
            troubles = 0 if progress.told else troubles + 1
            if progress.again_after is not None:
                await workflow.sleep(progress.again_after, summary="Waits until it may be asked again")
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(source)
