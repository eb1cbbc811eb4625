"""Where a referral stands: reads its facts and decisions under its row's lock, asks the rules, writes the verdict.

Every path to a verdict goes through `Judgement`: the first start, a wake-up, a reopening, a reset of the workflow.
Nothing is remembered anywhere else, so that a lost, late or repeated signal can't matter.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.ruling import Ruling, ruling
from referral_rewards.domain.decisions.overdue import patience
from referral_rewards.domain.referrals.inquiries import Answers, AnswersNeeded, Moment
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, CLOSED, PAID, Reason, ReferralStatus
from referral_rewards.domain.referrals.standing import Standing
from referral_rewards.register import constraints, outbox
from referral_rewards.register.claims import dossier, moves, reservations
from referral_rewards.register.claims.assembly import build_claim, to_the_point
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.judging import verdicts
from referral_rewards.register.judging.after_payment import after_payment, taken_back_since
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import inquiries
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case, next_ahead, open_case
from referral_rewards.register.referrals.closing import closing_digest, still_closed

_S = ReferralStatus


class Judgement:
    """Judges referrals; believes the decisions that ``keys`` verify."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def judge(
        self, connection: AsyncConnection, referral: str, now: datetime, answers: Answers | None = None
    ) -> Standing:
        """Where the referral stands at ``now``. Writes the verdict; closes, approves or reopens what is due.

        Raises:
            AnswersNeeded: if a source must be asked first and ``answers`` are not what it said to that question.
        """
        row = await referrals.hold(connection, referral)
        if row is None or row.parked or row.merged_into:
            return await verdicts.set_aside(connection, row, now)
        row = await moves.believed(connection, row, now, self._keys)
        if row.claim_id is not None or row.closed_at is not None:
            await outbox.judged(connection, referral)
        if row.closed_at is not None:
            if not await self._reopened(connection, row, now):
                row = await taken_back_since(connection, row, now)
                return await still_closed(connection, row, now)
            row = await referrals.hold(connection, referral)
            assert row is not None
        case = await open_case(connection, row, now)
        if case is None:
            return await self._not_begun(connection, row, now)
        if row.status in PAID:
            return await after_payment(connection, case)
        if case.course.conversion is None and case.course.status is not _S.IN_REVIEW:
            report = await inquiries.open_report(connection, case)
            if report is not None and (answers is None or answers.question != report):
                raise AnswersNeeded(report, Moment.REPORT)
        if case.course.status is not _S.IN_REVIEW:
            return await self._by_the_periods(connection, case)
        if row.claim_id is None or row.claim_version != row.facts_version:
            return await verdicts.write(connection, case, _S.IN_REVIEW)
        if any(case.took_effect(fact) for fact in case.facts):
            # The claim was assembled while it lay ahead. Whoever resumes from here assembles it anew, too.
            return await verdicts.write(connection, case, _S.IN_REVIEW, claim_version=claims.NEVER_JUDGED)
        others = await dossier.rivals(connection, case)
        if await dossier.lost_to(connection, row.id, others):
            return await verdicts.close(connection, case, _S.DENIED, Reason.ATTRIBUTION_LOST)
        if dossier.fingerprint(others) != row.rivals_seen:
            return await verdicts.write(connection, case, _S.IN_REVIEW)
        return await self._by_decision(connection, case, answers)

    async def assemble(
        self, connection: AsyncConnection, referral: str, now: datetime, answers: Answers | None = None
    ) -> Standing:
        """Prepares the reward claim of a referral in review, and judges what follows from it.

        Raises:
            AnswersNeeded: if ``answers`` are not what the sources said to the question that has to be asked.
        """
        await self._lock_order(connection, referral)
        row = await referrals.hold(connection, referral)
        if row is None or row.closed_at or row.merged_into or row.status in PAID:
            return await self.judge(connection, referral, now, answers)
        row = await moves.believed(connection, row, now, self._keys)
        case = await open_case(connection, row, now)
        if case is None or case.course.status is not _S.IN_REVIEW:
            return await self.judge(connection, referral, now, answers)
        claim, gathered = await build_claim(connection, case, to_the_point(case, answers, Moment.ASSEMBLY))
        if await dossier.lost_to(connection, row.id, gathered.rivals or ()):
            return await verdicts.close(connection, case, _S.DENIED, Reason.ATTRIBUTION_LOST)
        case = await self._put_forward(connection, case, claim, gathered)
        if claim.denial is not None and case.row.round == 1:
            return await verdicts.close(connection, case, _S.DENIED, claim.denial)
        return await self._by_decision(connection, case, answers)

    async def _not_begun(self, connection: AsyncConnection, row: Any, now: datetime) -> Standing:
        """A referral that no fact has begun yet. If one is about to, by a clock that runs ahead of ours, it waits."""
        linked = await referrals.facts(connection, row.id)
        begins_at = next_ahead([each.fact for each in linked], now)
        if begins_at is None:
            return await verdicts.set_aside(connection, row, now)
        return await verdicts.await_beginning(connection, row, now, begins_at)

    async def _lock_order(self, connection: AsyncConnection, referral: str) -> None:
        """Claims on one order are assembled one after the other, so that the later one sees the earlier one."""
        row = await referrals.row(connection, referral)
        await lock(connection, Lock.ORDER, (row.order_id if row else None) or f"referral:{referral}")

    async def _put_forward(
        self, connection: AsyncConnection, case: Case, claim: RewardClaim, gathered: Dossier
    ) -> Case:
        """Makes a claim the one that a person decides on. The same digest keeps its decisions; a new one asks again."""
        row = case.row
        held = (await claims.current(connection, row.claim_id))[1] if row.claim_id else None
        claim_id = row.claim_id
        if held is None or held.digest != claim.digest:
            await self._void(connection, case, "the claim changed after the decision")
            claim_id = await claims.store(
                connection,
                claim,
                round_=row.round,
                referrer=gathered.referrer,
                facts_version=row.facts_version,
                approved_rewards=gathered.approved_rewards,
                at=case.now,
            )
        await referrals.write(
            connection,
            row,
            case.now,
            claim_id=claim_id,
            claim_version=row.facts_version,
            rivals_seen=dossier.fingerprint(gathered.rivals or ()),
        )
        if held is None or held.core_digest != claim.core_digest:
            await verdicts.wake_rivals(connection, gathered.rivals or (), case)
        return replace(case, row=await referrals.hold(connection, row.id))

    async def _by_the_periods(self, connection: AsyncConnection, case: Case) -> Standing:
        """Where the four periods leave a referral: waiting, or closed. A claim that it had is no longer one."""
        course = case.course
        if case.row.claim_id is not None:
            await self._void(connection, case, "the conversion no longer holds")
        if course.status in CLOSED:
            return await verdicts.close(connection, case, course.status, course.reason, claim_id=None)
        return await verdicts.write(connection, case, course.status, claim_id=None)

    async def _by_decision(self, connection: AsyncConnection, case: Case, answers: Answers | None) -> Standing:
        """Where a claim stands before its approvers."""
        before = case.row
        if case.row.status not in BEFORE_PAYMENT:
            # Judged anew and found the same, an approval stands; but only from before a person does any status lead on.
            await verdicts.write(connection, case, _S.AWAITING_APPROVAL)
            case = replace(case, row=await referrals.hold(connection, case.row.id))
        claim, _ = await claims.current(connection, case.row.claim_id)
        made = await self._decisions(connection, case)
        ruled = ruling(claim.requirement, [decision.signoff for decision in made], claim.digest, frozen=claim.frozen)
        if ruled is Ruling.DENIED:
            return await verdicts.close(connection, case, _S.DENIED, Reason.DENIED_BY_DECISION, claim)
        if ruled is Ruling.HELD:
            await reservations.cancel(connection, case, "put on hold")
            return await verdicts.write(connection, case, _S.ON_HOLD, claim)
        # Moving it outweighs approving it as it was, whichever was decided first: what was approved went elsewhere.
        if await moves.move(connection, case, claim, made):
            await reservations.cancel(connection, case, "moved to another referrer")
            return await verdicts.write(connection, case, _S.IN_REVIEW)
        if ruled is Ruling.APPROVED:
            return await self._approved(connection, case, claim, made, answers)
        await reservations.cancel(connection, case, "the approval no longer holds")
        await self._remind(connection, before, case, claim, made)
        return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, claim)

    async def _remind(
        self, connection: AsyncConnection, before: Any, case: Case, claim: RewardClaim, made: Sequence[Decision]
    ) -> None:
        """Has the approvers reminded if the claim became overdue since it was last judged, or comes before them so."""
        if case.row.waiting_since is None:
            return
        due = patience(case.row.waiting_since, case.terms)
        known = before.judged_at if before.status == _S.AWAITING_APPROVAL else None
        if any(at <= case.now and (known is None or known < at) for at in (due.remind_at, due.escalate_at)):
            await notices.tell_approvers(connection, case, claim, [each.user for each in made], due)

    async def _approved(
        self,
        connection: AsyncConnection,
        case: Case,
        claim: RewardClaim,
        made: Sequence[Decision],
        answers: Answers | None,
    ) -> Standing:
        """Reserves what was approved, if it still fits; else the claim is put forward anew, its approval void."""
        if await reservations.legs_of(connection, case.row.id):
            again_at = await reservations.release_tax_holds(connection, case)
            return await verdicts.write(connection, case, _S.APPROVED, claim, again_at=again_at)
        if await reservations.given_up(connection, case.row.id, case.row.claim_id):
            return await verdicts.close(connection, case, _S.DENIED, Reason.DENIED_BY_DECISION, claim)
        answers = to_the_point(case, answers, Moment.APPROVAL)
        await lock(connection, Lock.RESERVATION, claim.program)
        await lock(connection, Lock.REWARDED_ORDER, case.row.order_id or f"referral:{case.row.id}")
        again, gathered = await build_claim(connection, case, answers)
        approvals = [decision.id for decision in made if decision.kind is DecisionKind.APPROVE]
        if again.digest == claim.digest and claim.legs and all(leg.beneficiary for leg in claim.legs):
            try:
                async with connection.begin_nested():
                    await reservations.reserve(connection, case, claim, case.row.claim_id, approvals)
            except IntegrityError as error:
                why = constraints.meaning(error, reservations.VOIDED_BY)
                await decisions.record_effect(connection, approvals, "void", case.now, why)
                return await verdicts.write(connection, case, _S.IN_REVIEW)
            await decisions.record_effect(connection, approvals, "applied", case.now, "reserved")
            # One decision settles a dispute: from now on its other claims count as they stood when it was made.
            settled = {rival.referral: rival.core_digest for rival in attribution.competitors(gathered)}
            seen = [
                replace(rival, settled=True) if rival.referral in settled else rival for rival in gathered.rivals or ()
            ]
            await verdicts.wake_rivals(connection, seen, case)
            return await verdicts.write(
                connection,
                case,
                _S.APPROVED,
                claim,
                again_at=await reservations.release_tax_holds(connection, case),
                settled_rivals=settled or None,
                rivals_seen=dossier.fingerprint(seen),
            )
        if again.digest == claim.digest:
            # Nothing to pay, or nobody to pay it to: an approval of it changes nothing.
            await decisions.record_effect(connection, approvals, "void", case.now, "the claim has no payable leg")
            return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, claim)
        case = await self._put_forward(connection, case, again, gathered)
        if again.denial is not None and case.row.round == 1:
            return await verdicts.close(connection, case, _S.DENIED, again.denial)
        return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, again)

    async def _decisions(self, connection: AsyncConnection, case: Case) -> tuple[Decision, ...]:
        """The genuine decisions on the claim that stand; a row that nobody with a key wrote is noted as forged."""
        genuine, forged = await decisions.on_referral(connection, case.row.id, self._keys)
        await decisions.record_effect(connection, forged, "forged", case.now, "no signature that we believe")
        made = [decision for decision in genuine if decision.claim_id == case.row.claim_id]
        # On record, so that nobody who is let in again finds what they signed before to be signed still.
        for decision in await decisions.of_the_barred(connection, made):
            why = f"{decision.user} was barred since"
            await decisions.record_effect(connection, [decision.id], "void", case.now, why)
        return await decisions.standing(connection, made)

    async def _void(self, connection: AsyncConnection, case: Case, why: str) -> None:
        """Voids the approval of the claim that is being replaced, and takes its reservations back."""
        await reservations.cancel(connection, case, why)
        if case.row.claim_id is not None:
            await notices.take_back_approval(connection, case)
            made = await self._decisions(connection, case)
            await decisions.record_effect(connection, [decision.id for decision in made], "void", case.now, why)

    async def _reopened(self, connection: AsyncConnection, row: Any, now: datetime) -> bool:
        """Whether somebody with the authority decided to reopen this very closing; if so, begins the next round."""
        if row.status not in CLOSED:
            return False
        made, _ = await decisions.on_referral(connection, row.id, self._keys)
        digest = closing_digest(row)
        found = [d for d in made if d.kind is DecisionKind.REOPEN and d.digest == digest]
        if not found:
            return False
        await decisions.record_effect(connection, [d.id for d in found], "applied", now, "reopened")
        await referrals.relisten(connection, row.id)
        await referrals.write(
            connection,
            row,
            now,
            round=row.round + 1,
            closed_at=None,
            closed_version=None,
            claim_id=None,
            rivals_seen=None,
        )
        return True
