"""The activities of a referral: judge it, and assemble the claim that a person decides on."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.inquiries import Inquiries
from activities.messages import JudgeRequest
from activities.moment import moment
from models.session import Database
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Answers, AnswersNeeded
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.judging.judgement import Judgement

#: Facts from a source may raise another question. After this many rounds its answers are going in circles.
_ROUNDS_MAX: Final = 5

_Act = Callable[[AsyncConnection, str, datetime, Answers | None], Awaitable[Standing]]


class Referrals:
    """Judges referrals: each time in one transaction, which is taken back whenever a source must be asked first."""

    def __init__(self, database: Database, keys: KeyRing, asking: Inquiries) -> None:
        self._database = database
        self._judgement = Judgement(keys)
        self._asking = asking

    @activity.defn
    async def judge_referral(self, request: JudgeRequest) -> Standing:
        """Judge the referral as of the workflow's clock. Running it again gives the same result."""
        return await self.judge(request.referral, moment(request.now))

    @activity.defn
    async def assemble_claim(self, request: JudgeRequest) -> Standing:
        """Judge the referral again and, if it is still in review, ask its sources and assemble the claim."""
        now = moment(request.now)
        standing = await self.judge(request.referral, now)
        if standing.status is not ReferralStatus.IN_REVIEW:
            return standing
        return await self.assemble(request.referral, now)

    async def judge(self, referral: str, now: datetime) -> Standing:
        """Judge a referral at ``now`` (`Judgement.judge`), and return its standing."""
        return await self._in_a_transaction(self._judgement.judge, referral, now)

    async def assemble(self, referral: str, now: datetime) -> Standing:
        """Assemble the claim of a referral in review (`Judgement.assemble`), and return its standing."""
        return await self._in_a_transaction(self._judgement.assemble, referral, now)

    async def _in_a_transaction(self, act: _Act, referral: str, now: datetime) -> Standing:
        answers: Answers | None = None
        for _ in range(_ROUNDS_MAX):
            try:
                return await self._database.write(act, referral, now, answers)
            except AnswersNeeded as needed:
                answers = await self._asking.ask(needed.question, needed.moment)
        raise RuntimeError("the sources raise one question after the other")
