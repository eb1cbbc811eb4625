"""Judge a referral: how it stands by the facts, the time and the decisions on its claim (SPEC §4 to §6).

`decide` judges a case file, `assembled` a claim that was just assembled. Neither reads a clock or a database.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import Ruling
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.judging.case_file import Assembled, CaseFile
from referral_rewards.domain.judging.closings import upheld
from referral_rewards.domain.judging.consequences import (
    cancelled,
    closes,
    filed,
    put_forward,
    to_assemble_anew,
    voided,
    what_is_void,
    without_claim,
)
from referral_rewards.domain.judging.outcome import waits_since
from referral_rewards.domain.judging.verdict import (
    NOTHING,
    Asks,
    AwaitsBeginning,
    Consequences,
    FollowsPayment,
    IsApproved,
    LookUp,
    OnCase,
    Reminder,
    SetAside,
    StaysClosed,
    StaysOpen,
    StaysReserved,
    Verdict,
)
from referral_rewards.domain.referrals.case import Case, next_ahead
from referral_rewards.domain.referrals.closing import contested_since, late_facts
from referral_rewards.domain.referrals.course import Step, next_step
from referral_rewards.domain.referrals.inquiries import Moment
from referral_rewards.domain.referrals.lifecycle import CLOSED, PAID, Reason, ReferralStatus

_S: Final = ReferralStatus


def decide(file: CaseFile) -> Verdict | IsApproved | LookUp:
    """Return the verdict on a referral, once what people decided about it as a whole is carried out (`acts`)."""
    if file.row.closed_at is not None:
        upheld_at = upheld(file.row, [each for each in file.decisions if each.user not in file.barred])
        late = late_facts(file.row, file.now, file.past, upheld_at, file.former)
        return StaysClosed(late, upheld_at, contested_since(file.row, file.now, file.past, upheld_at))
    if (case := file.case) is None:
        begins_at = next_ahead(file.past.facts, file.now)
        return SetAside() if begins_at is None else AwaitsBeginning(begins_at)
    match _step(file, case):
        case Step.AFTER_PAYMENT:
            return FollowsPayment()
        case Step.BY_THE_PERIODS:
            return _by_the_periods(file, case)
        case Step.ASSEMBLE:
            return StaysOpen(_S.IN_REVIEW)
        case Step.ASSEMBLE_ANEW:
            return StaysOpen(_S.IN_REVIEW, its=to_assemble_anew(file))
        case Step.BY_DECISION:
            return _among_rivals(file)


def assembled(file: CaseFile, new: Assembled) -> OnCase | IsApproved:
    """Return the verdict on a referral in review whose claim was just assembled."""
    if attribution.lost(new.rivals):
        return closes(file, _S.DENIED, Reason.ATTRIBUTION_LOST)
    its = put_forward(file, new)
    if new.claim.denial is not None and file.row.round == 1:
        return closes(file, _S.DENIED, new.claim.denial, its=its)
    return _by_decision(file, new.claim, its)


def _step(file: CaseFile, case: Case) -> Step:
    row = file.row
    return next_step(
        case.course,
        _S.APPROVED if file.lost_its_payments else row.status,
        claim_current=row.claim_id is not None and row.claim_version == row.facts_version,
        took_effect=any(case.took_effect(fact) for fact in case.facts),
    )


def _by_the_periods(file: CaseFile, case: Case) -> Verdict | LookUp:
    """Return the verdict that the four periods give a referral, open or closed. Any claim that it had is void."""
    if case.course.conversion is None:
        if file.report is None:
            return LookUp.REPORT
        if file.report and (file.answers is None or file.answers.question not in file.report):
            return Asks(file.report[0], Moment.REPORT)
    had_one = file.row.claim_id is not None
    its = without_claim(file, voided(file, "the conversion no longer holds") if had_one else NOTHING)
    if case.course.status in CLOSED:
        return closes(file, case.course.status, case.course.reason, its=its)
    return StaysOpen(case.course.status, its=its)


def _among_rivals(file: CaseFile) -> Verdict | IsApproved | LookUp:
    """Judge an assembled claim, unless its rivals changed since, or one of them won."""
    if file.rivals is None:
        return LookUp.RIVALS
    if attribution.lost(file.rivals):
        return closes(file, _S.DENIED, Reason.ATTRIBUTION_LOST)
    if attribution.fingerprint(file.rivals) != file.row.rivals_seen:
        return StaysOpen(_S.IN_REVIEW)
    return _by_decision(file, file.reward_claim(), NOTHING)


def _by_decision(file: CaseFile, claim: RewardClaim, its: Consequences) -> OnCase | IsApproved:
    """Judge a claim by the decisions of its approvers. ``its`` are what makes it the current one."""
    claim_id = filed(file, its).claim_id
    made, ruled = file.counting(claim_id), file.ruled(claim, claim_id)
    its = replace(its, noted=tuple(dict.fromkeys((*its.noted, *what_is_void(file, claim_id)))))
    by_approvers = ruled is not Ruling.PENDING and (ruled is not Ruling.APPROVED or file.row.status not in PAID)
    if ruled is Ruling.DENIED:
        return closes(file, _S.DENIED, Reason.DENIED_BY_DECISION, claim, its, by_approvers=by_approvers)
    if ruled is Ruling.HELD:
        return StaysOpen(_S.ON_HOLD, claim, cancelled(file, "put on hold", its), by_approvers)
    # An adjustment outweighs an approval, whichever was decided first: the approval was of other amounts.
    if file.adjusted_anew(claim, made):
        return StaysOpen(_S.IN_REVIEW, claim, to_assemble_anew(file, its), by_approvers)
    if ruled is Ruling.APPROVED:
        return _approved(file, claim, its, by_approvers=by_approvers)
    its = cancelled(file, "the approval no longer holds", its)
    return StaysOpen(_S.AWAITING_APPROVAL, claim, its, reminder=_reminder(file, claim, made))


def _approved(file: CaseFile, claim: RewardClaim, its: Consequences, *, by_approvers: bool) -> OnCase | IsApproved:
    if file.legs:
        # Every payment was refused: it is still being paid, once a person retries one.
        status = file.row.status if file.row.status in PAID else _S.APPROVED
        assert status is not None
        return StaysReserved(status, claim, file.whereabouts(), its, by_approvers)
    if file.is_given_up:
        return closes(file, _S.DENIED, Reason.DENIED_BY_DECISION, claim, its, by_approvers=by_approvers)
    return IsApproved(claim, its, by_approvers)


def _reminder(file: CaseFile, claim: RewardClaim, made: Sequence[Decision]) -> Reminder | None:
    """Remind the approvers if the claim became overdue since it was last judged, or reaches them overdue."""
    case = file.begun
    since = waits_since(case)
    if since is None or claim.waits_for is not None:
        return None
    due = patience(since, case.terms)
    known = file.row.judged_at if file.row.status == _S.AWAITING_APPROVAL else None
    if any(at <= case.now and (known is None or known < at) for at in (due.remind_at, due.escalate_at)):
        return Reminder(due, tuple(each.user for each in made))
    return None
