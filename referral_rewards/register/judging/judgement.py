"""Judge a referral: read its facts and decisions under its row's lock, ask the rules, save the verdict.

Every path to a verdict goes through `Judgement`: the first start, a wake-up, a reopening, a reset of the workflow.
No state is kept anywhere else, so a lost, late or repeated signal does no harm.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import DecisionKind, Ruling, ruling
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.reserving import Occasion, reserved
from referral_rewards.domain.decisions.adjusting import adjustments_of
from referral_rewards.domain.decisions.claim_subject import REOPENABLE
from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.domain.referrals.course import Standing, Step, next_step
from referral_rewards.domain.referrals.inquiries import Answers, AnswersNeeded, Moment
from referral_rewards.domain.referrals.lifecycle import CLOSED, PAID, Reason, ReferralStatus, Side
from referral_rewards.register import outbox
from referral_rewards.register.claims import dossier, reservations, signed_acts
from referral_rewards.register.claims.assembly import build_claim, to_the_point
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.judging import loading, verdicts
from referral_rewards.register.judging.after_payment import after_payment, nothing_is_paid, taken_back_since
from referral_rewards.register.judging.loading import CaseFile, lock_order_of
from referral_rewards.register.judging.unchanged import unchanged
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import inquiries
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case, exchange_of, next_ahead
from referral_rewards.register.referrals.closing import covers, still_closed, upheld
from referral_rewards.register.referrals.rows import Referral

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
        if (standing := unchanged(row, now)) is not None and not await outbox.is_listed(connection, referral):
            return standing
        file = await self._load(connection, row, now)
        if file.row.closed_at is not None or file.row.status is _S.CLAWED_BACK:
            reopened = await self._reopened(connection, file, now)
            if reopened is None and file.row.closed_at is not None:
                file = replace(file, row=await taken_back_since(connection, file, now))
                made = [each for each in file.decisions if each.user not in file.barred]
                return await still_closed(connection, file.row, now, file.past, upheld(file.row, made))
            if reopened is not None:
                file = await loading.load(connection, reopened, self._keys)
        file = await self._with_acts(connection, file, now)
        case = file.case(now)
        if case is None:
            return await self._not_begun(connection, file, now)
        if case.row.status in PAID and not file.is_frozen:
            await nothing_is_paid(connection, case, file)
        match _step(case, file):
            case Step.AFTER_PAYMENT:
                return await after_payment(connection, case, file)
            case Step.BY_THE_PERIODS:
                await _ask_about_a_report(connection, case, answers)
                return await self._by_the_periods(connection, case, file)
            case Step.ASSEMBLE:
                return await verdicts.write(connection, case, _S.IN_REVIEW)
            case Step.ASSEMBLE_ANEW:
                # Marked in the row, so that it is assembled again also after a restart.
                return await verdicts.write(connection, case, _S.IN_REVIEW, claim_version=claims.NEVER_JUDGED)
            case Step.BY_DECISION:
                return await self._with_rivals(connection, case, file, answers)

    async def assemble(
        self, connection: AsyncConnection, referral: str, now: datetime, answers: Answers | None = None
    ) -> Standing:
        """Assemble the reward claim of a referral in review, judge it, and return the standing.

        Raises:
            AnswersNeeded: if ``answers`` do not answer the question that the sources must be asked.
        """
        await lock_order_of(connection, referral)
        row = await referrals.hold(connection, referral)
        if row is None or row.closed_at or row.merged_into or row.status in PAID:
            return await self.judge(connection, referral, now, answers)
        file = await self._with_acts(connection, await self._load(connection, row, now), now)
        case = file.case(now)
        if case is None or case.course.status is not _S.IN_REVIEW:
            return await self.judge(connection, referral, now, answers)
        answered = to_the_point(case, answers, Moment.ASSEMBLY)
        claim, gathered = await build_claim(connection, case, answered, file.adjustments(), file.approved_claim())
        if attribution.lost(gathered.rivals or ()):
            return await verdicts.close(connection, case, _S.DENIED, Reason.ATTRIBUTION_LOST)
        case = await self._put_forward(connection, case, file, claim, gathered)
        if claim.denial is not None and case.row.round == 1:
            return await verdicts.close(connection, case, _S.DENIED, claim.denial)
        return await self._by_decision(connection, case, file, claim, answers)

    async def _load(self, connection: AsyncConnection, row: Referral, now: datetime) -> CaseFile:
        file = await loading.load(connection, row, self._keys)
        believed = await signed_acts.believed(connection, row, file.decisions, now)
        return file if believed is row else await loading.load(connection, believed, self._keys)

    async def _with_acts(self, connection: AsyncConnection, file: CaseFile, now: datetime) -> CaseFile:
        """Return the file once what people decided about the attribution is carried out; whatever else was decided on
        the claim that it changes is void. A claim that was denied or is on hold stays as it is."""
        found = signed_acts.pending(file.row, file.decisions)
        case = file.case(now) if found is not None else None
        if found is None or case is None or file.is_frozen or file.kept_back:
            return file
        await self._void(connection, case, file, "its attribution was decided anew", besides=found.decisions)
        return await loading.load(connection, await signed_acts.carry_out(connection, case, found), self._keys)

    async def _not_begun(self, connection: AsyncConnection, file: CaseFile, now: datetime) -> Standing:
        """Judge a referral that no fact has begun yet. If such a fact takes effect later, the referral waits for it."""
        begins_at = next_ahead(file.past.facts, now)
        if begins_at is None:
            return await verdicts.set_aside(connection, file.row, now)
        return await verdicts.await_beginning(connection, file.row, now, begins_at)

    async def _with_rivals(
        self, connection: AsyncConnection, case: Case, file: CaseFile, answers: Answers | None
    ) -> Standing:
        """Judge an assembled claim, unless its rivals changed since, or one of them won."""
        others = await dossier.rivals(connection, case)
        if attribution.lost(others):
            return await verdicts.close(connection, case, _S.DENIED, Reason.ATTRIBUTION_LOST)
        if dossier.fingerprint(others) != case.row.rivals_seen:
            return await verdicts.write(connection, case, _S.IN_REVIEW)
        return await self._by_decision(connection, case, file, file.reward_claim(), answers)

    async def _put_forward(
        self, connection: AsyncConnection, case: Case, file: CaseFile, claim: RewardClaim, gathered: Dossier
    ) -> Case:
        """Make a claim the current one, and return the case with it; the referral's row is saved with the verdict.

        With the same digest the claim's decisions stay; with a new digest they are void.
        """
        row, held = case.row, file.claim
        claim_id = row.claim_id
        if held is None or held.digest != claim.digest:
            adjusting = [each.decision for each in claim.adjustments]
            await self._void(connection, case, file, "the claim changed after the decision", besides=adjusting)
            await effects.record(connection, adjusting, "applied", case.now, "adjusted")
            claim_id = await claims.store(
                connection,
                claim,
                round_=row.round,
                referrer=gathered.referrer,
                facts_version=row.facts_version,
                approved_rewards=gathered.approved_rewards,
                at=case.now,
            )
        if held is None or held.core_digest != claim.core_digest:
            await verdicts.wake_rivals(connection, gathered.rivals or (), case)
        seen = dossier.fingerprint(gathered.rivals or ())
        forward = replace(row, claim_id=claim_id, claim_version=row.facts_version, rivals_seen=seen)
        return replace(case, row=forward, stored=case.stored or row)

    async def _by_the_periods(self, connection: AsyncConnection, case: Case, file: CaseFile) -> Standing:
        """Save the status that the four periods give a referral, open or closed. Any claim that it had is void."""
        course = case.course
        if case.row.claim_id is not None:
            await self._void(connection, case, file, "the conversion no longer holds")
        if course.status in CLOSED:
            return await verdicts.close(connection, case, course.status, course.reason, claim_id=None)
        return await verdicts.write(connection, case, course.status, claim_id=None)

    async def _by_decision(
        self, connection: AsyncConnection, case: Case, file: CaseFile, claim: RewardClaim, answers: Answers | None
    ) -> Standing:
        """Judge a claim by the decisions of its approvers."""
        before = case.row
        await self._note_what_is_void(connection, case, file)
        made = file.counting(case.row.claim_id)
        ruled = ruling(claim.requirement, [decision.signoff for decision in made], claim.digest, frozen=claim.frozen)
        if ruled is not Ruling.PENDING and (ruled is not Ruling.APPROVED or case.row.status not in PAID):
            case = await verdicts.put_before_approvers(connection, case)
        if ruled is Ruling.DENIED:
            return await verdicts.close(connection, case, _S.DENIED, Reason.DENIED_BY_DECISION, claim)
        if ruled is Ruling.HELD:
            await self._cancel(connection, case, file, "put on hold")
            return await verdicts.write(connection, case, _S.ON_HOLD, claim)
        # An adjustment outweighs an approval, whichever was decided first: the approval was of other amounts.
        if file.adjusted_anew(claim, made):
            return await verdicts.write(connection, case, _S.IN_REVIEW, claim_version=claims.NEVER_JUDGED)
        if ruled is Ruling.APPROVED:
            return await self._approved(connection, case, file, claim, made, answers)
        await self._cancel(connection, case, file, "the approval no longer holds")
        standing = await verdicts.write(connection, case, _S.AWAITING_APPROVAL, claim)
        await self._remind(connection, before, case, claim, made)
        return standing

    async def _remind(
        self, connection: AsyncConnection, before: Referral, case: Case, claim: RewardClaim, made: Sequence[Decision]
    ) -> None:
        """Remind the approvers if the claim became overdue since it was last judged, or reaches them overdue."""
        since = verdicts.waits_since(case)
        if since is None or claim.waits_for is not None:
            return
        due = patience(since, case.terms)
        known = before.judged_at if before.status == _S.AWAITING_APPROVAL else None
        if any(at <= case.now and (known is None or known < at) for at in (due.remind_at, due.escalate_at)):
            await notices.tell_approvers(connection, case, claim, [each.user for each in made], due)

    async def _approved(
        self,
        connection: AsyncConnection,
        case: Case,
        file: CaseFile,
        claim: RewardClaim,
        made: Sequence[Decision],
        answers: Answers | None,
    ) -> Standing:
        """Reserve the approved legs if the claim is unchanged; else void the approval and put the new claim forward."""
        if file.legs:
            again_at = await reservations.release_held(connection, case, file.legs, file.whereabouts(case))
            # Every payment was refused: it is still being paid, once a person retries one.
            standing = case.row.status if case.row.status in PAID else _S.APPROVED
            return await verdicts.write(connection, case, standing, claim, again_at=again_at)
        if file.is_given_up:
            return await verdicts.close(connection, case, _S.DENIED, Reason.DENIED_BY_DECISION, claim)
        answers = to_the_point(case, answers, Moment.APPROVAL)
        await reservations.hold(connection, case, claim)
        adjustments = adjustments_of(claim, case.row.claim_id, file.decisions, file.barred)
        again, gathered = await build_claim(connection, case, answers, adjustments, claim)
        approvals = [decision.id for decision in made if decision.kind is DecisionKind.APPROVE]
        if again.digest == claim.digest and claim.legs and all(leg.beneficiary for leg in claim.legs):
            return await self._reserved(connection, case, claim, gathered, approvals)
        if again.digest == claim.digest:
            # There is nothing to pay, or no one to pay it to: an approval changes nothing.
            await effects.record(connection, approvals, "void", case.now, "the claim has no payable leg")
            return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, claim)
        case = await self._put_forward(connection, case, file, again, gathered)
        if again.denial is not None and case.row.round == 1:
            return await verdicts.close(connection, case, _S.DENIED, again.denial)
        return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, again)

    async def _reserved(
        self, connection: AsyncConnection, case: Case, claim: RewardClaim, gathered: Dossier, approvals: Sequence[UUID]
    ) -> Standing:
        """Reserve the legs of a claim that is approved as it stands, unless its order is rewarded already."""
        ground = await reservations.ground(connection, case, claim, gathered.tax)
        if ground.is_rewarded:
            # Another claim on the same order was approved while this one waited for the lock.
            await effects.record(connection, approvals, "void", case.now, "the same order is already rewarded")
            return await verdicts.write(connection, case, _S.IN_REVIEW)
        assert case.row.claim_id is not None
        occasion = Occasion(case.row.id, case.row.claim_id, case.row.round, case.terms, case.now)
        reservation = reserved(claim, occasion, ground)
        await reservations.save(connection, case, claim, reservation, approvals)
        unknown = {Side(leg.role) for leg in reservation.legs if leg.state is LegState.WAITING_METHOD}
        await notices.ask_for_method(connection, case, unknown)
        # One decision settles an attribution dispute: from now on the rivals count as they stood at that time.
        settled = {rival.referral: rival.core_digest for rival in attribution.competitors(gathered)}
        seen = [replace(rival, settled=True) if rival.referral in settled else rival for rival in gathered.rivals or ()]
        await verdicts.wake_rivals(connection, seen, case)
        return await verdicts.write(
            connection,
            case,
            _S.APPROVED,
            claim,
            again_at=reservation.again_at,
            settled_rivals=settled or None,
            rivals_seen=dossier.fingerprint(seen),
        )

    async def _note_what_is_void(self, connection: AsyncConnection, case: Case, file: CaseFile) -> None:
        """Record rows without a signature that we trust as forged, and approvals of the barred as void.

        They are recorded, so that earlier approvals of a barred user stay void even after the user is admitted again.
        """
        await effects.record(connection, file.forged, "forged", case.now, "no signature that we believe")
        approvals = [each for each in file.of_claim(case.row.claim_id) if each.kind is DecisionKind.APPROVE]
        for decision in approvals:
            if decision.user in file.barred and decision.id not in file.void:
                why = f"{decision.user} was barred since"
                await effects.record(connection, [decision.id], "void", case.now, why)

    async def _cancel(self, connection: AsyncConnection, case: Case, file: CaseFile, why: str) -> None:
        """Cancel the referral's reservations. Without a leg when it was loaded there is none now either."""
        if file.legs:
            await reservations.cancel(connection, case, why)

    async def _void(
        self, connection: AsyncConnection, case: Case, file: CaseFile, why: str, *, besides: Collection[UUID] = ()
    ) -> None:
        """Void the decisions on the claim that is being replaced, but not those ``besides``, and cancel its
        reservations."""
        await self._cancel(connection, case, file, why)
        if case.row.claim_id is not None:
            await notices.take_back_approval(connection, case)
            await self._note_what_is_void(connection, case, file)
            made = file.counting(case.row.claim_id)
            void = [decision.id for decision in made if decision.id not in besides]
            await effects.record(connection, void, "void", case.now, why)

    async def _reopened(self, connection: AsyncConnection, file: CaseFile, now: datetime) -> Referral | None:
        """Begin the next round if a valid decision reopens exactly this closing, and return the row; else None."""
        row = file.row
        if row.status not in REOPENABLE:
            return None
        found = [d for d in file.decisions if d.kind is DecisionKind.REOPEN and covers(row, d)]
        if not found and not signed_acts.reopens(row, file.decisions):
            return None
        exchanged = await self._exchanged(connection, file, now)
        if row.closed_at is None and not exchanged:
            return None
        await effects.record(connection, [d.id for d in found], "applied", now, "reopened")
        await referrals.relisten(connection, row.id)
        begun: dict[str, Any] = {"round": row.round + 1, "closed_at": None, "closed_version": None}
        begun["answered_version"] = row.facts_version
        if exchanged:
            begun |= {"status": _S.IN_REVIEW.value, "rewarded_at": None}
        elif row.status in PAID:
            # What it paid for is frozen. The late facts open clawback cases, and it closes again.
            return await referrals.write(connection, row, now, late_facts=0, **begun)
        return await referrals.write(connection, row, now, claim_id=None, rivals_seen=None, **begun)

    async def _exchanged(self, connection: AsyncConnection, file: CaseFile, now: datetime) -> bool:
        """Set the paid legs aside if another conversion takes the place of theirs and one of them was recovered."""
        case = file.case(now) if file.row.status in PAID else None
        recovered = any(leg.state == LegState.CLAWED_BACK for leg in file.legs)
        if case is None or not recovered or exchange_of(case) is None:
            return False
        await reservations.set_aside_former(connection, file.row.id)
        return True


def _step(case: Case, file: CaseFile) -> Step:
    row = case.row
    return next_step(
        case.course,
        row.status if file.is_frozen or row.status not in PAID else _S.APPROVED,
        claim_current=row.claim_id is not None and row.claim_version == row.facts_version,
        took_effect=any(case.took_effect(fact) for fact in case.facts),
    )


async def _ask_about_a_report(connection: AsyncConnection, case: Case, answers: Answers | None) -> None:
    """Return if no reported conversion has to be asked about, or ``answers`` are about it.

    Raises:
        AnswersNeeded: otherwise.
    """
    if case.course.conversion is not None:
        return
    report = await inquiries.open_report(connection, case)
    if report is not None and (answers is None or answers.question != report):
        raise AnswersNeeded(report, Moment.REPORT)
