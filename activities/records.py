"""Reading and writing the register on a workflow's behalf."""

from temporalio import activity

from activities.messages import JudgeRequest
from models.session import Database
from referral_rewards.domain.standing import Standing
from referral_rewards.register.judgement import Judgement


class Records:
    """The activity that tells a workflow where its referral stands."""

    def __init__(self, database: Database, judgement: Judgement) -> None:
        self._database = database
        self._judgement = judgement

    @activity.defn
    async def judge_referral(self, request: JudgeRequest) -> Standing:
        """Judges the referral as of the workflow's clock; however often it runs, it comes to the same."""
        async with self._database.transaction() as connection:
            return await self._judgement.judge(connection, request.referral, request.now)
