"""Judge a referral: load its case file under its row's lock, decide, save the verdict.

Every path to a verdict goes through `Judgement`: the first start, a wake-up, a reopening, a reset of the workflow.
No state is kept anywhere else, so a lost, late or repeated signal does no harm.

There are three cases in which something is saved and loaded again before the verdict: what people decided about the
referral as a whole changes its row (`acts`), a claim in review is assembled from surroundings that cost a lot to
gather, and an approval reserves under further locks (`approving`). Each is a load, decide and save of its own.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.judging import approving, deciding
from referral_rewards.domain.judging.acts import act_of
from referral_rewards.domain.judging.case_file import CaseFile
from referral_rewards.domain.judging.unchanged import unchanged
from referral_rewards.domain.judging.verdict import IsApproved, LookUp, Verdict
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.domain.referrals.lifecycle import PAID, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.judging import acts, after_payment, loading, saving
from referral_rewards.register.referrals import rows as referrals


class Judgement:
    """Judges referrals. Only decisions whose signature ``keys`` verifies count."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def judge(
        self, connection: AsyncConnection, referral: str, now: datetime, answers: Answers | None = None
    ) -> Standing:
        """Judge the referral at ``now``, save the verdict and return its standing. Closes, approves or reopens it.

        Raises:
            AnswersNeeded: if a source must be asked first and ``answers`` do not answer that question.
        """
        row = await referrals.hold(connection, referral)
        if row is None or row.parked or row.merged_into:
            return await saving.set_aside(connection, row, now)
        if (standing := unchanged(row, now)) is not None and not await outbox.is_listed(connection, referral):
            return standing
        file = await self._open(connection, row, now, answers)
        while isinstance(verdict := deciding.decide(file), LookUp):
            file = await loading.look_up(connection, file, verdict)
        return await self._save(connection, file, verdict)

    async def assemble(
        self, connection: AsyncConnection, referral: str, now: datetime, answers: Answers | None = None
    ) -> Standing:
        """Assemble the reward claim of a referral in review, judge it, and return the standing.

        Raises:
            AnswersNeeded: if ``answers`` do not answer the question that the sources must be asked.
        """
        await loading.lock_order_of(connection, referral)
        row = await referrals.hold(connection, referral)
        if row is None or row.closed_at or row.merged_into or row.status in PAID:
            return await self.judge(connection, referral, now, answers)
        file = await self._open(connection, row, now, answers)
        if file.case is None or file.case.course.status is not ReferralStatus.IN_REVIEW:
            return await self.judge(connection, referral, now, answers)
        verdict = deciding.assembled(file, await loading.assemble(connection, file))
        return await self._save(connection, file, verdict)

    async def _open(
        self, connection: AsyncConnection, row: Referral, now: datetime, answers: Answers | None
    ) -> CaseFile:
        """Return the case file, once everything that people decided about the referral as a whole is carried out, and
        the clawback cases follow the facts where the verdict itself does not look after them."""
        file = await loading.load(connection, row, now, answers, self._keys)
        while (act := act_of(file)) is not None:
            row = await acts.save(connection, file, act)
            file = await loading.load(connection, row, now, answers, self._keys)
        if file.keeps_cases:
            await after_payment.keep_cases(connection, file)
        return file

    async def _save(self, connection: AsyncConnection, file: CaseFile, verdict: Verdict | IsApproved) -> Standing:
        if not isinstance(verdict, IsApproved):
            return await saving.save(connection, file, verdict)
        file = await saving.follow(connection, file, verdict)
        approval = await loading.load_approval(connection, file, verdict.claim)
        return await saving.save(connection, file, approving.decide(approval))
