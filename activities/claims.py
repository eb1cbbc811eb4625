"""The activities that judge a referral and assemble the reward claim that a person decides on."""

from temporalio import activity

from activities.inquiries import Hearing
from activities.messages import JudgeRequest
from activities.moment import moment
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.standing import Standing


class Claims:
    """The activity that has a conversion re-validated at its source and assembles the claim."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    @activity.defn
    async def assemble_claim(self, request: JudgeRequest) -> Standing:
        """Judges once more; what is still in review then is asked about and assembled."""
        now = moment(request.now)
        standing = await self._hearing.judge(request.referral, now)
        if standing.status is not ReferralStatus.IN_REVIEW:
            return standing
        return await self._hearing.assemble(request.referral, now)


class Records:
    """The activity that tells a workflow where its referral stands."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    @activity.defn
    async def judge_referral(self, request: JudgeRequest) -> Standing:
        """Judges the referral as of the workflow's clock; however often it runs, it comes to the same."""
        return await self._hearing.judge(request.referral, moment(request.now))
