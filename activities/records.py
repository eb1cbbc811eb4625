"""Reading and writing the register on a workflow's behalf."""

from temporalio import activity

from activities.inquiries import Hearing
from activities.messages import JudgeRequest
from activities.moment import moment
from referral_rewards.domain.referrals.standing import Standing


class Records:
    """The activity that tells a workflow where its referral stands."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    @activity.defn
    async def judge_referral(self, request: JudgeRequest) -> Standing:
        """Judges the referral as of the workflow's clock; however often it runs, it comes to the same."""
        return await self._hearing.judge(request.referral, moment(request.now))
