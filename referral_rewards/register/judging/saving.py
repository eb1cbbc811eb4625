"""Save a verdict and return the short standing: the last step of every judgement (`domain.judging.verdict`)."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.judging.case_file import CaseFile
from referral_rewards.domain.judging.outcome import closed, judged, with_claim
from referral_rewards.domain.judging.verdict import (
    Asks,
    AwaitsBeginning,
    Closes,
    FollowsPayment,
    IsApproved,
    Reserves,
    SetAside,
    StaysClosed,
    StaysOpen,
    StaysReserved,
    Verdict,
)
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import AnswersNeeded
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, Reason, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.claims import reservations
from referral_rewards.register.judging import after_payment, writing
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.referrals import rows as referrals

_S = ReferralStatus


async def save(connection: AsyncConnection, file: CaseFile, verdict: Verdict) -> Standing:
    """Save the verdict on a file, and return the standing.

    Raises:
        AnswersNeeded: if a source must be asked first.
        ImpossibleTransition: if no rule leads to the status; it is a bug.
    """
    match verdict:
        case SetAside():
            return await set_aside(connection, file.row, file.now)
        case AwaitsBeginning(begins_at):
            return await _await_beginning(connection, file.row, file.now, begins_at)
        case StaysClosed():
            return await _stay_closed(connection, file, verdict)
        case FollowsPayment():
            return await after_payment.follow(connection, file)
        case Asks(question, moment):
            raise AnswersNeeded(question, moment)
        case StaysOpen():
            return await _stay_open(connection, file, verdict)
        case Closes():
            return await _close(connection, file, verdict)
        case StaysReserved():
            return await _stay_reserved(connection, file, verdict)
        case Reserves():
            return await _reserve(connection, file, verdict)
        case _:
            assert_never(verdict)


async def follow(
    connection: AsyncConnection, file: CaseFile, verdict: StaysOpen | Closes | StaysReserved | IsApproved
) -> CaseFile:
    """Save what comes before the status, and return the file with the row as it is then.

    An approval survives if the claim is unchanged, but the transitions lead on only from before its approvers.
    """
    await writing.bring_about(connection, file.begun, verdict.its)
    case = with_claim(file.begun, verdict.its.files)
    if verdict.by_approvers and case.row.status not in BEFORE_PAYMENT:
        row = await writing.write_row(connection, case, judged(case, _S.AWAITING_APPROVAL), None)
        case = replace(case, row=row, stored=None)
    return replace(file, row=case.row, case=case)


async def set_aside(connection: AsyncConnection, row: Referral | None, now: datetime) -> Standing:
    """End a run that has nothing to judge: an unknown referral, parked facts, or a merged request."""
    if row is not None:
        status = _S.WITHDRAWN if row.merged_into and row.status else row.status
        done = replace(row, judged_version=row.facts_version, wake_at=None, status=status)
        await referrals.save(connection, row, done, now)
    return Standing(status=_S.WITHDRAWN, closed=True, program=(row.program if row else None) or "")


async def _await_beginning(connection: AsyncConnection, row: Referral, now: datetime, begins_at: datetime) -> Standing:
    """Let a run wait until the first fact takes effect."""
    waits = replace(row, judged_version=row.facts_version, wake_at=begins_at)
    await referrals.save(connection, row, waits, now)
    return Standing(
        status=_S.INVITED, wake_at=begins_at, facts_version=row.facts_version, closed=False, program=row.program or ""
    )


async def _stay_closed(connection: AsyncConnection, file: CaseFile, verdict: StaysClosed) -> Standing:
    """Leave a closed referral as it is, with the count of late facts for the queue."""
    row = await after_payment.taken_back_since(connection, file)
    still = replace(row, judged_version=row.facts_version, late_facts=verdict.late_facts, contested=verdict.contested)
    if verdict.upheld_at is not None:
        still = replace(still, answered_version=max(verdict.upheld_at, row.answered_version or 0))
    await referrals.save(connection, row, still, file.now)
    assert row.status is not None
    return Standing(
        status=row.status,
        reason=Reason(row.reason) if row.reason else None,
        facts_version=row.facts_version,
        closed=True,
        program=row.program or "",
    )


async def _stay_open(connection: AsyncConnection, file: CaseFile, verdict: StaysOpen) -> Standing:
    case, claim = (await follow(connection, file, verdict)).begun, verdict.claim
    standing = await writing.write(connection, case, judged(case, verdict.status, claim), claim)
    if verdict.reminder is not None and claim is not None:
        await notices.tell_approvers(connection, case, claim, verdict.reminder.signed, verdict.reminder.due)
    return standing


async def _close(connection: AsyncConnection, file: CaseFile, verdict: Closes) -> Standing:
    case = (await follow(connection, file, verdict)).begun
    if case.row.claimed_at is not None:
        await writing.wake_rivals(connection, case)
    return await writing.write(connection, case, closed(case, verdict.status, verdict.reason), verdict.claim)


async def _stay_reserved(connection: AsyncConnection, file: CaseFile, verdict: StaysReserved) -> Standing:
    case = (await follow(connection, file, verdict)).begun
    again_at = await reservations.release_held(connection, case, file.legs, verdict.whereabouts)
    return await writing.write(connection, case, judged(case, verdict.status, verdict.claim, again_at), verdict.claim)


async def _reserve(connection: AsyncConnection, file: CaseFile, verdict: Reserves) -> Standing:
    case = with_claim(file.begun, verdict.its.files)
    await reservations.save(connection, case, verdict.claim, verdict.reservation, verdict.approvals)
    await notices.ask_for_method(connection, case, verdict.asks)
    await writing.bring_about(connection, case, verdict.its)
    approved = judged(case, _S.APPROVED, verdict.claim, verdict.reservation.again_at)
    approved = replace(approved, settled_rivals=verdict.settled)
    return await writing.write(connection, case, approved, verdict.claim)
