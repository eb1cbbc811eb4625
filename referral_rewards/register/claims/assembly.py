"""Assemble a claim from the register and the sources' answers, the same way for people, approvals and payments."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims import claim as rules
from referral_rewards.domain.claims.adjustments import Adjustment
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.inquiries import Answers, AnswersNeeded, Moment
from referral_rewards.register.claims import dossier
from referral_rewards.register.referrals import inquiries


async def build_claim(
    connection: AsyncConnection,
    case: Case,
    answers: Answers,
    adjustments: tuple[Adjustment, ...],
    approved: RewardClaim | None = None,
) -> tuple[RewardClaim, Dossier]:
    """Return the claim that the rules make now, and the dossier that they judged; of the adjustments those hold that
    were made on what is calculated now. ``approved`` is the claim as people approved it, if they did."""
    gathered = await dossier.gather(connection, case, answers=answers, approved=approved)
    gathered = replace(gathered, adjustments=adjustments)
    return rules.assemble(gathered, reopened=case.row.round > 1), gathered


def to_the_point(case: Case, answers: Answers | None, moment: Moment) -> Answers:
    """Return the answers if they belong to the question that this case asks.

    Raises:
        AnswersNeeded: with that question.
    """
    question = inquiries.question_of(case)
    if answers is None or answers.question != question:
        raise AnswersNeeded(question, moment)
    return answers
