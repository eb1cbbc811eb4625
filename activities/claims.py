"""The activities that judge a referral, ask outside sources about it, and assemble the claim that a person decides on.

What the sources report is recorded as facts before a judgement uses it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from temporalio import activity

from activities.messages import JudgeRequest
from activities.moment import moment
from models.session import Database
from referral_rewards.domain.facts.events import too_far_ahead
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import (
    Answer,
    Answers,
    AnswersNeeded,
    Moment,
    Question,
    SourceAnswer,
    told_otherwise,
    unavailable,
)
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.locks import retrying
from referral_rewards.register.referrals import inquiries
from referral_rewards.sources.port import Source, Told

#: Facts from a source may raise another question. After this many rounds its answers are going in circles.
_ROUNDS_MAX = 5
#: One payout may pay many claims. This many are asked about at a time.
_ASKED_AT_ONCE = 4


class Inquiries:
    """Asks sources by their names in the terms. No transaction is open while a source answers."""

    def __init__(self, database: Database, intake: Intake, sources: Mapping[str, Source]) -> None:
        self._database = database
        self._intake = intake
        self._sources = sources

    async def ask(self, question: Question, moment: Moment) -> Answers:
        """Ask the sources, record their answers and the facts they report, and return the answers."""
        conversion, customer = await asyncio.gather(self._about_order(question), self._about_customer(question))
        answers = Answers(
            question=question,
            conversion=await self._taken_in(conversion),
            customer=await self._taken_in(customer) if customer is not None else None,
        )
        if said := inquiries.from_outside(answers):
            async with self._database.transaction() as connection:
                await inquiries.note(connection, question.referral, said, moment, _now())
        return answers

    async def ask_all(self, questions: Mapping[str, Question], moment: Moment) -> dict[str, Answers]:
        """Ask several questions concurrently, up to `_ASKED_AT_ONCE`, and return the answers under the same keys."""
        slots = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def answered(question: Question) -> Answers:
            async with slots:
                return await self.ask(question, moment)

        answers = await asyncio.gather(*map(answered, questions.values()))
        return dict(zip(questions, answers, strict=True))

    async def _about_order(self, question: Question) -> Told:
        name = question.conversions
        if question.order is None:
            return Told(unavailable(name, "There is no recorded conversion to ask about."))
        source = self._sources.get(name)
        if source is None:
            return Told(unavailable(name, f"The source {name} is not connected."))
        return await _told(name, source.order(question.order))

    async def _about_customer(self, question: Question) -> Told | None:
        name = question.customers
        if name is None:
            return None
        if question.customer is None:
            return Told(unavailable(name, "The referee's customer id is not known."))
        source = self._sources.get(name)
        if source is None:
            return Told(unavailable(name, f"The source {name} is not connected."))
        return await _told(name, source.customer(question.customer))

    async def _taken_in(self, told: Told) -> SourceAnswer:
        """Record the facts of an answer and return the answer. Facts already known change nothing; facts that conflict
        with known ones are refused, and the answer says so."""
        if not told.facts:
            return told.answer
        if any(too_far_ahead(event, _now()) for event in told.facts):
            return unavailable(told.answer.source, "It told a fact from the future.")
        conflicts = await retrying(partial(self._record, told))
        return told_otherwise(told.answer, conflicts) if conflicts else told.answer

    async def _record(self, told: Told) -> int:
        """Record the facts and return how many conflict with facts already known. An answer is a complete batch: no
        closing waits for more of it (SPEC §4 Closing)."""
        async with self._database.transaction() as connection:
            name = f"answer of {told.answer.source}: {told.answer.content_hash}"
            batch = await file_intake.open_batch(connection, name, _now())
            recorded = await self._intake.record(connection, told.facts, received_at=_now(), batch=batch)
            await file_intake.finish(connection, batch, _now())
        return len(recorded.conflicts)


class Hearing:
    """Judges referrals, and asks their sources when a judgement needs the answer."""

    def __init__(self, database: Database, judgement: Judgement, asking: Inquiries) -> None:
        self._database = database
        self._judgement = judgement
        self._asking = asking

    async def judge(self, referral: str, now: datetime) -> Standing:
        return await self._heard(partial(self._judge, referral, now))

    async def assemble(self, referral: str, now: datetime) -> Standing:
        return await self._heard(partial(self._assemble, referral, now))

    async def _judge(self, referral: str, now: datetime, answers: Answers | None) -> Standing:
        async with self._database.transaction() as connection:
            return await self._judgement.judge(connection, referral, now, answers)

    async def _assemble(self, referral: str, now: datetime, answers: Answers | None) -> Standing:
        async with self._database.transaction() as connection:
            return await self._judgement.assemble(connection, referral, now, answers)

    async def _heard(self, judging: Callable[[Answers | None], Awaitable[Standing]]) -> Standing:
        answers: Answers | None = None
        for _ in range(_ROUNDS_MAX):
            try:
                return await judging(answers)
            except AnswersNeeded as needed:
                # The transaction is rolled back; it judges again once the answers are there.
                answers = await self._asking.ask(needed.question, needed.moment)
        raise RuntimeError("the sources raise one question after the other")


async def _told(name: str, asked: Awaitable[Told]) -> Told:
    """Return what a source reports. A source must not raise; if one does, it counts as unavailable."""
    try:
        return await asked
    except Exception as error:
        return Told(SourceAnswer(Answer.UNAVAILABLE, f"Asking it broke ({type(error).__name__}).", name))


def _now() -> datetime:
    """The time of receipt. Verdicts use the workflow's clock instead."""
    return datetime.now(UTC)


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
