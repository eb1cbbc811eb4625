"""Preparing the reward claim that a person decides on."""

from collections.abc import Mapping

from temporalio import activity

from activities.messages import JudgeRequest
from models.session import Database
from referral_rewards.domain.dossier import Answer, SourceAnswer
from referral_rewards.domain.lifecycle import ReferralStatus
from referral_rewards.domain.periods import Conversion
from referral_rewards.domain.standing import Standing
from referral_rewards.register import referrals
from referral_rewards.register.cases import open_case
from referral_rewards.register.judgement import Judgement
from referral_rewards.sources.port import ConversionSource


class Claims:
    """The activity that re-validates a conversion at its source, by the source's name in the terms, and assembles."""

    def __init__(self, database: Database, judgement: Judgement, sources: Mapping[str, ConversionSource]) -> None:
        self._database = database
        self._judgement = judgement
        self._sources = sources

    @activity.defn
    async def assemble_claim(self, request: JudgeRequest) -> Standing:
        """Judges once more, asks the source, then assembles in one transaction that holds the referral's row."""
        async with self._database.transaction() as connection:
            standing = await self._judgement.judge(connection, request.referral, request.now)
            row = await referrals.row(connection, request.referral)
            case = await open_case(connection, row, request.now) if row is not None else None
        if standing.status is not ReferralStatus.IN_REVIEW or case is None:
            return standing
        # The row is not held while the source takes its time; facts that come meanwhile are judged below.
        answer = await self._ask(case.terms.sources.conversions, case.course.conversion)
        async with self._database.transaction() as connection:
            return await self._judgement.assemble(connection, request.referral, request.now, answer)

    async def _ask(self, name: str, conversion: Conversion | None) -> SourceAnswer:
        """What the conversion's source says now."""
        if conversion is None:
            return SourceAnswer(Answer.UNAVAILABLE, "There is no recorded conversion to ask about.", name)
        source = self._sources.get(name)
        if source is None:
            return SourceAnswer(Answer.UNAVAILABLE, f"The source {name} is not connected.", name)
        return await source.confirm(conversion)
