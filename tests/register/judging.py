"""Judges a referral as a worker does, in short transactions, with a source that is always there and says the same."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from models.session import Database
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Answer, Answers, AnswersNeeded, SourceAnswer
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.judging.judgement import Judgement

CONFIRMED = SourceAnswer(Answer.CONFIRMED, "Read again.", "register")


async def judged(database: Database, judgement: Judgement, referral: str, now: datetime) -> Standing:
    """Where the referral stands once it waits for a timer or a person, or is closed."""
    while True:
        standing = await heard(database, judgement.judge, referral, now)
        if standing.status is ReferralStatus.IN_REVIEW:
            standing = await heard(database, judgement.assemble, referral, now)
        if standing.status is not ReferralStatus.IN_REVIEW:
            return standing


async def heard(
    database: Database,
    act: Callable[..., Awaitable[Standing]],
    referral: str,
    now: datetime,
    said: SourceAnswer = CONFIRMED,
) -> Standing:
    """Judges or assembles, and asks whenever it turns out that the source has to be asked first."""
    answers = None
    while True:
        try:
            async with database.transaction() as connection:
                return await act(connection, referral, now, answers)
        except AnswersNeeded as needed:
            answers = Answers(needed.question, said)
