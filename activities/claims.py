"""The activities that judge a referral and assemble the reward claim that a person decides on."""

from temporalio import activity

from activities.inquiries import Hearing
from activities.messages import JudgeRequest
from activities.moment import moment
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import ReferralStatus


class Claims:
    """The activity that re-validates a conversion at its source and assembles the claim."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    @activity.defn
    async def assemble_claim(self, request: JudgeRequest) -> Standing:
        """Judge the referral again and, if it is still in review, ask its sources and assemble the claim."""
        now = moment(request.now)
        standing = await self._hearing.judge(request.referral, now)
        if standing.status is not ReferralStatus.IN_REVIEW:
            return standing
        return await self._hearing.assemble(request.referral, now)


class Records:
    """The activity that returns a referral's standing to its workflow."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    @activity.defn
    async def judge_referral(self, request: JudgeRequest) -> Standing:
        """Judge the referral as of the workflow's clock. Running it again gives the same result."""
        return await self._hearing.judge(request.referral, moment(request.now))
