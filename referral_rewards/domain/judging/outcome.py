"""What a referral's row says once it is judged, and the same in brief."""

from dataclasses import replace
from datetime import datetime

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.judging.verdict import Filed
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.closing import late_at_closing
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.doubts import doubts
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, TIMED, Reason, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral

_S = ReferralStatus


def judged(
    case: Case, status: ReferralStatus, claim: RewardClaim | None = None, again_at: datetime | None = None
) -> Referral:
    """Return the row of a referral that stays open with this status.

    ``again_at`` is the next time at which the verdict may change for a reason other than the periods. A ``claim`` that
    waits for another referral, and not for people, is not due: nobody is reminded of it.
    """
    q = case.course.conversion
    waits_for_another = claim is not None and claim.waits_for is not None and status is _S.AWAITING_APPROVAL
    wake_at = earliest(case.course.wake_at, case.ahead_at) if waits_for_another else _wake_at(case, status)
    return replace(
        case.row,
        status=status,
        reason=None,
        deadline=case.course.deadline if status in TIMED else None,
        wake_at=earliest(wake_at, again_at),
        waiting_since=None if waits_for_another else _waiting_since(case, status),
        version=case.version,
        judged_version=case.row.facts_version,
        judged_at=case.now,
        program=case.origin.program,
        referrer=case.origin.referrer,
        channel=case.origin.channel,
        began_at=case.origin.began_at,
        claimed_at=case.course.claimed_at,
        order_id=q.order if q else None,
        stores=list(q.which.in_stores) if q else [],
        conversion_at=q.occurred_at if q else None,
        net_minor=q.net_minor if q else None,
        currency=q.currency if q else None,
        doubts=doubts(case, status, None, q.order if q else None),
    )


def closed(case: Case, status: ReferralStatus, reason: Reason | None) -> Referral:
    """Return the row of a referral that closes without a reward. Only the decision to reopen it changes anything."""
    row = judged(case, status)
    return replace(
        row,
        reason=reason.value if reason else None,
        deadline=None,
        wake_at=None,
        closed_at=case.now,
        closed_version=case.row.facts_version,
        late_facts=late_at_closing(case, reason),
        doubts=doubts(case, status, reason, row.order_id),
    )


def still_paid_for(row: Referral, paid: Referral) -> Referral:
    """Return the row with the referrer and the conversion that were ``paid`` for, whatever newer facts say."""
    return replace(
        row,
        program=paid.program,
        version=paid.version,
        referrer=paid.referrer,
        channel=paid.channel,
        began_at=paid.began_at,
        order_id=paid.order_id,
        stores=paid.stores,
        conversion_at=paid.conversion_at,
        net_minor=paid.net_minor,
        currency=paid.currency,
        claimed_at=paid.claimed_at,
        claim_version=paid.facts_version,
    )


def with_claim(case: Case, files: Filed | None) -> Case:
    """Return the case once its row says this of its claim; the row is saved with the verdict."""
    if files is None:
        return case
    row = replace(case.row, claim_id=files.claim_id, claim_version=files.version, rivals_seen=files.rivals_seen)
    return replace(case, row=row, stored=case.stored or case.row)


def waits_since(case: Case) -> datetime | None:
    """Return since when a claim waits that a judgement leaves with its approvers; None while it is held."""
    if case.row.status in BEFORE_PAYMENT:
        return case.row.waiting_since
    return _waiting_since(case, _S.AWAITING_APPROVAL)


def in_brief(row: Referral, claim: RewardClaim | None, currency: str) -> Standing:
    """Return the verdict that a row holds in the short form that the workflow gets. ``claim`` is the one that the
    verdict is about, if it is about one; ``currency`` is the program's."""
    assert row.status is not None
    return Standing(
        status=row.status,
        reason=Reason(row.reason) if row.reason else None,
        deadline=row.deadline,
        wake_at=row.wake_at,
        facts_version=row.facts_version,
        closed=row.closed_at is not None,
        program=row.program or "",
        routes=tuple(claim.requirement.routes) if claim and row.status in BEFORE_PAYMENT else (),
        flags=claim.flag_names if claim else (),
        reward_minor=sum(leg.amount_minor for leg in claim.legs) if claim else None,
        currency=currency if claim else None,
    )


def earliest(*moments: datetime | None) -> datetime | None:
    """Return the earliest of the times that are not None; None if there is none."""
    return min((moment for moment in moments if moment is not None), default=None)


def _waiting_since(case: Case, status: ReferralStatus) -> datetime | None:
    """Return since when the claim waits for its approvers. A new judgement does not restart the wait; a hold does."""
    before = case.row.waiting_since if case.row.status in (_S.AWAITING_APPROVAL, _S.IN_REVIEW) else None
    if status is _S.AWAITING_APPROVAL:
        return before or case.now
    return before if status is _S.IN_REVIEW else None


def _wake_at(case: Case, status: ReferralStatus) -> datetime | None:
    """Return when the verdict may next change by itself, or a reminder is due."""
    if status is _S.IN_REVIEW:
        # Its claim is assembled at once. If the run that was to do so is lost, the sweep finds that it slept past this.
        return case.now
    since = _waiting_since(case, status) if status is _S.AWAITING_APPROVAL else None
    if since is None:
        return earliest(case.course.wake_at, case.ahead_at)
    due = patience(since, case.terms)
    ahead = [at for at in (case.course.wake_at, due.remind_at, due.escalate_at) if at is not None and at > case.now]
    return earliest(*ahead, case.ahead_at)
