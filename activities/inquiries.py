"""Ask outside sources about a referral. What they report is recorded as facts before a judgement uses it."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from models.session import Database
from referral_rewards.domain.facts.events import too_far_ahead
from referral_rewards.domain.referrals.inquiries import (
    REGISTER,
    Answer,
    Answers,
    Moment,
    Question,
    SourceAnswer,
    teller_of,
    told_otherwise,
    unavailable,
    with_warnings,
)
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Intake, Recorded
from referral_rewards.register.referrals import inquiries
from referral_rewards.sources.port import Source, Told

_log = structlog.get_logger("inquiries")

#: One payout may pay many claims. This many are asked about at a time.
_ASKED_AT_ONCE = 4


class Inquiries:
    """Asks sources by their names in the terms. No transaction is open while a source answers."""

    def __init__(self, database: Database, intake: Intake, sources: Mapping[str, Source]) -> None:
        self._database = database
        self._intake = intake
        self._sources = sources

    async def ask(self, question: Question, moment: Moment) -> Answers:
        """Ask the sources, record their answers and the facts they report, and return the answers.

        Raises:
            ApplicationError: in a local activity that would have to wait for a source outside. Its workflow has it done
                through the server: a slow source must not hold up the other runs of the worker.
        """
        if question.asks_outside and activity.in_activity() and activity.info().is_local:
            raise ApplicationError(
                "a source outside has to be asked", non_retryable=True, category=ApplicationErrorCategory.BENIGN
            )
        question = await self._with_names(question)
        conversion, customer = await asyncio.gather(self._about_order(question), self._about_customer(question))
        answers = Answers(
            question=question,
            conversion=replace(await self._taken_in(conversion), ours=question.on_record.ours),
            customer=await self._taken_in(customer) if customer is not None else None,
        )
        if said := inquiries.from_outside(answers):
            await self._database.write(inquiries.note, question.referral, said, moment, _now())
        return answers

    async def ask_all(self, questions: Mapping[str, Question], moment: Moment) -> dict[str, Answers]:
        """Ask several questions concurrently, up to `_ASKED_AT_ONCE`, and return the answers under the same keys."""
        slots = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def answered(question: Question) -> Answers:
            async with slots:
                return await self.ask(question, moment)

        answers = await asyncio.gather(*map(answered, questions.values()))
        return dict(zip(questions, answers, strict=True))

    async def _with_names(self, question: Question) -> Question:
        """Return the question with the names that the order has at its source, if it is one outside."""
        if question.name is None or question.conversions == REGISTER:
            return question
        async with self._database.reading() as connection:
            names = await inquiries.linked_names(connection, question.conversions, question.name)
        return replace(question, on_record=replace(question.on_record, names=names))

    async def _about_order(self, question: Question) -> Told:
        name = question.conversions
        if question.order is None:
            return Told(unavailable(name, "There is no recorded conversion to ask about."))
        source = self._sources.get(name)
        if source is None:
            return Told(unavailable(name, f"The source {name} is not connected."))
        return await _told(name, source.order(question.order, question.store, question.on_record))

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
        recorded = await self._database.write(self._record, told)
        conflicts, warnings = len(recorded.conflicts), [warning for _, warning in recorded.warnings]
        if warnings:
            kinds = sorted({each.kind.value for each in warnings})
            _log.warning("answer_warned_of", source=told.answer.source, kinds=kinds, warnings=len(warnings))
        return with_warnings(told_otherwise(told.answer, conflicts) if conflicts else told.answer, warnings)

    async def _record(self, connection: AsyncConnection, told: Told) -> Recorded:
        """Record the facts and return what became of them. An answer is a complete batch: no closing waits for more of
        it (SPEC §4 Closing)."""
        name = f"answer of {told.answer.source}: {told.answer.content_hash}"
        batch = await file_intake.open_batch(connection, name, _now())
        teller = told.teller or teller_of(told.answer.source, told.facts)
        recorded = await self._intake.record(connection, told.facts, received_at=_now(), batch=batch, teller=teller)
        await file_intake.finish(connection, batch, _now())
        return recorded


async def _told(name: str, asked: Awaitable[Told]) -> Told:
    """Return what a source reports. A source must not raise; if one does, it counts as unavailable."""
    try:
        return await asked
    except Exception as error:
        return Told(SourceAnswer(Answer.UNAVAILABLE, f"Asking it broke ({type(error).__name__}).", name))


def _now() -> datetime:
    """The time of receipt. Verdicts use the workflow's clock instead."""
    return datetime.now(UTC)
