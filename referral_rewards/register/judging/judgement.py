"""Judge a referral: read its facts and decisions under its row's lock, ask the rules, save the verdict.

Every path to a verdict goes through `Judgement`: the first start, a wake-up, a reopening, a reset of the workflow.
No state is kept anywhere else, so a lost, late or repeated signal does no harm.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import DecisionKind, Ruling, ruling
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Answers, AnswersNeeded, Moment
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, CLOSED, PAID, Reason, ReferralStatus
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
            # The claim was assembled before this fact took effect; it must be assembled again, also after a restart.
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
        """Assemble the reward claim of a referral in review, judge it, and return the standing.

        Raises:
            AnswersNeeded: if ``answers`` do not answer the question that the sources must be asked.
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
        """Judge a referral that no fact has begun yet. If such a fact takes effect later, the referral waits for it."""
        linked = await referrals.facts(connection, row.id)
        begins_at = next_ahead([each.fact for each in linked], now)
        if begins_at is None:
            return await verdicts.set_aside(connection, row, now)
        return await verdicts.await_beginning(connection, row, now, begins_at)

    async def _lock_order(self, connection: AsyncConnection, referral: str) -> None:
        """Lock the order, so that claims on it are assembled one after the other and the later sees the earlier."""
        row = await referrals.row(connection, referral)
        await lock(connection, Lock.ORDER, (row.order_id if row else None) or f"referral:{referral}")

    async def _put_forward(
        self, connection: AsyncConnection, case: Case, claim: RewardClaim, gathered: Dossier
    ) -> Case:
        """Make a claim the current one. With the same digest its decisions stay; with a new digest they are void."""
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
        """Save the status that the four periods give a referral, open or closed. Any claim that it had is void."""
        course = case.course
        if case.row.claim_id is not None:
            await self._void(connection, case, "the conversion no longer holds")
        if course.status in CLOSED:
            return await verdicts.close(connection, case, course.status, course.reason, claim_id=None)
        return await verdicts.write(connection, case, course.status, claim_id=None)

    async def _by_decision(self, connection: AsyncConnection, case: Case, answers: Answers | None) -> Standing:
        """Judge a claim by the decisions of its approvers."""
        before = case.row
        if case.row.status not in BEFORE_PAYMENT:
            # An approval survives if the claim is unchanged, but the transitions lead on only from this status.
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
        # A move outweighs an approval, whichever was decided first: the approval was for another referrer.
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
        """Remind the approvers if the claim became overdue since it was last judged, or reaches them overdue."""
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
        """Reserve the approved legs if the claim is unchanged; else void the approval and put the new claim forward."""
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
            # One decision settles an attribution dispute: from now on the rivals count as they stood at that time.
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
            # There is nothing to pay, or no one to pay it to: an approval changes nothing.
            await decisions.record_effect(connection, approvals, "void", case.now, "the claim has no payable leg")
            return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, claim)
        case = await self._put_forward(connection, case, again, gathered)
        if again.denial is not None and case.row.round == 1:
            return await verdicts.close(connection, case, _S.DENIED, again.denial)
        return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, again)

    async def _decisions(self, connection: AsyncConnection, case: Case) -> tuple[Decision, ...]:
        """Return the valid decisions on the claim. Rows without a signature that we trust are recorded as forged."""
        genuine, forged = await decisions.on_referral(connection, case.row.id, self._keys)
        await decisions.record_effect(connection, forged, "forged", case.now, "no signature that we believe")
        made = [decision for decision in genuine if decision.claim_id == case.row.claim_id]
        # Recorded, so that earlier approvals of a barred user stay void even after the user is admitted again.
        for decision in await decisions.of_the_barred(connection, made):
            why = f"{decision.user} was barred since"
            await decisions.record_effect(connection, [decision.id], "void", case.now, why)
        return await decisions.standing(connection, made)

    async def _void(self, connection: AsyncConnection, case: Case, why: str) -> None:
        """Void the approval of the claim that is being replaced, and cancel its reservations."""
        await reservations.cancel(connection, case, why)
        if case.row.claim_id is not None:
            await notices.take_back_approval(connection, case)
            made = await self._decisions(connection, case)
            await decisions.record_effect(connection, [decision.id for decision in made], "void", case.now, why)

    async def _reopened(self, connection: AsyncConnection, row: Any, now: datetime) -> bool:
        """Return whether a valid decision reopens exactly this closing; if so, begin the next round."""
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
