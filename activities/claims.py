"""Preparing the reward claim that a person decides on."""

from collections.abc import Mapping

from temporalio import activity

from models.session import Database
from referral_rewards.domain.dossier import Answer, SourceAnswer
from referral_rewards.domain.standing import Standing
from referral_rewards.register import referrals
from referral_rewards.register.judgement import Judgement, open_case
from referral_rewards.sources.port import ConversionSource
from activities.messages import JudgeRequest


class Claims:
    """The activity that re-validates a conversion at its source, by the source's name in the terms, and assembles."""

    def __init__(self, database: Database, judgement: Judgement, sources: Mapping[str, ConversionSource]) -> None:
        self._database = database
        self._judgement = judgement
        self._sources = sources

    @activity.defn
    async def assemble_claim(self, request: JudgeRequest) -> Standing:
        """Asks the source, then assembles in one transaction that holds the referral's row."""
        answer = await self._ask_the_source(request)
        async with self._database.transaction() as connection:
            return await self._judgement.assemble(connection, request.referral, request.now, answer)

    async def _ask_the_source(self, request: JudgeRequest) -> SourceAnswer:
        """What the conversion's source says now. The row is not held meanwhile: a source may take its time."""
        async with self._database.transaction() as connection:
            row = await referrals.row(connection, request.referral)
            case = await open_case(connection, row, request.now) if row is not None else None
        if case is None or case.course.conversion is None:
            return SourceAnswer(Answer.UNAVAILABLE, "There is no recorded conversion to ask about.", "register")
        name = case.terms.sources.conversions
        source = self._sources.get(name)
        if source is None:
            return SourceAnswer(Answer.UNAVAILABLE, f"The source {name} is not connected.", name)
        return await source.confirm(case.course.conversion)
