"""The life of a referral, from the first fact to the end of the watch over a paid reward."""

from typing import Any

from temporalio import workflow
from temporalio.common import VersioningBehavior

from workflows import steps

with workflow.unsafe.imports_passed_through():
    from referral_rewards.domain.referrals.course import Standing
    from referral_rewards.domain.referrals.lifecycle import ReferralStatus
    from referral_rewards.workflow_ids import BORROWED

_S = ReferralStatus


@workflow.defn(name="Referral", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class Referral:
    """One referral. It receives only its id: the register holds the facts, and every start resumes from there.

    Signals only say that something is new; what they carry is never read, so that any arguments may come. If one is
    forged, lost or sent twice, this changes only when the register is read again.
    """

    @workflow.init
    def __init__(self, referral: str) -> None:
        self.journey = steps.Journey(referral)

    @workflow.run
    async def run(self, referral: str) -> str:
        if steps.bears_the_id_of_another(self.journey):
            return BORROWED
        await steps.judge(self.journey)
        while not steps.closed(self.journey):
            await self.wait_for_a_timely_claim_and_a_qualifying_conversion()
            await self.wait_out_the_return_period()
            await self.assemble_the_reward_claim()
            await self.wait_for_a_person()
            await self.pay()
            await self.watch_for_refunds()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return steps.outcome(self.journey)

    async def wait_for_a_timely_claim_and_a_qualifying_conversion(self) -> None:
        while steps.stands(self.journey, _S.INVITED, _S.PURCHASED_UNCLAIMED, _S.CLAIMED):
            await steps.wait_for_news_or_the_deadline(self.journey)

    async def wait_out_the_return_period(self) -> None:
        while steps.stands(self.journey, _S.IN_RETURN_PERIOD) and not await steps.deadline_comes_first(self.journey):
            await steps.judge(self.journey)

    async def assemble_the_reward_claim(self) -> None:
        """Re-validates the conversion at its source, then assembles the claim that a person decides on."""
        while steps.stands(self.journey, _S.IN_REVIEW) or steps.return_period_is_over(self.journey):
            await steps.assemble_claim(self.journey)

    async def wait_for_a_person(self) -> None:
        """Waits without limit: only a signed decision leads on."""
        while steps.stands(self.journey, _S.AWAITING_APPROVAL, _S.ON_HOLD):
            await steps.wait_for_news_or_the_deadline(self.journey)

    async def pay(self) -> None:
        """Waits until all payouts are at rest. Each payout has its own workflow."""
        while steps.stands(self.journey, _S.APPROVED, _S.PAYING):
            await steps.wait_for_news_or_the_deadline(self.journey)

    async def watch_for_refunds(self) -> None:
        """Waits until the watch of the terms ends. Until then a refund or chargeback opens a clawback case."""
        while steps.stands(self.journey, _S.REWARDED, _S.CLAWED_BACK):
            await steps.wait_for_news_or_the_deadline(self.journey)

    @workflow.signal
    def fact_arrived(self, *fact_id: Any) -> None:
        self.journey.news = True

    @workflow.signal
    def decision_recorded(self, *decision_id: Any) -> None:
        self.journey.news = True

    @workflow.signal
    def payout_settled(self, *payout_id: Any) -> None:
        self.journey.news = True

    @workflow.query
    def status(self) -> Standing | None:
        return self.journey.standing
