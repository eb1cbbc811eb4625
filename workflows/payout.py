"""The life of one payout: step by step until the rail has given a definite answer or a person must look."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.messages import PayoutProgress, PayoutRequest

with workflow.unsafe.imports_passed_through():
    from activities.payouts import Payouts


@workflow.defn(name="Payout")
class Payout:
    """Carries out one payout. The activity itself verifies the human decision before every step that moves money."""

    def __init__(self) -> None:
        self.progress: PayoutProgress | None = None

    @workflow.run
    async def run(self, payout: str) -> str:
        while True:
            self.progress = await workflow.execute_activity_method(
                Payouts.send_payout,
                PayoutRequest(payout=payout, now=workflow.now()),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
                summary="Verify the decision, then pay",
            )
            if self.progress.again_after is None:
                return self.progress.state
            workflow.set_current_details(f"**{self.progress.state}**: {self.progress.why or 'tries again'}")
            await workflow.sleep(self.progress.again_after, summary=f"Until the next try ({self.progress.state})")
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(payout)

    @workflow.query
    def status(self) -> PayoutProgress | None:
        return self.progress
