"""Save a verdict to the referral's row and return the short standing: the last step of every judgement."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Rival
from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.labels import label
from referral_rewards.domain.referrals.case import Case, Past
from referral_rewards.domain.referrals.closing import late_at_closing, late_facts
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, TIMED, Reason, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox
from referral_rewards.register.claims import reservations
from referral_rewards.register.claims.dossier import rivals
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import upkeep
from referral_rewards.register.queue.projection import Due
from referral_rewards.register.referrals import rows as referrals

_S = ReferralStatus


async def write(
    connection: AsyncConnection,
    case: Case,
    status: ReferralStatus,
    claim: RewardClaim | None = None,
    *,
    again_at: datetime | None = None,
    **values: Any,
) -> Standing:
    """Save the verdict on a referral that stays open, or whose watch is over (``closed_at`` among ``values``).

    ``again_at`` is the next time at which the verdict may change for a reason other than the periods.
    """
    known = {**_known(case, status, again_at), **values}
    if claim is not None and claim.waits_for is not None and status is _S.AWAITING_APPROVAL:
        # It waits for a referral and not for people: nobody is reminded of it.
        known |= {"waiting_since": None, "wake_at": earliest(case.course.wake_at, case.ahead_at, again_at)}
    return in_brief(await _save(connection, case, known, claim), claim, case.terms.currency)


async def put_before_approvers(connection: AsyncConnection, case: Case) -> Case:
    """Save that the claim waits for its approvers, and return the case as it is saved.

    An approval survives if the claim is unchanged, but the transitions lead on only from this status.
    """
    known = {} if case.row.status in BEFORE_PAYMENT else _known(case, _S.AWAITING_APPROVAL)
    return replace(case, row=await _save(connection, case, known, None), stored=None)


def waits_since(case: Case) -> datetime | None:
    """Return since when a claim waits that a judgement leaves with its approvers; None while it is held."""
    if case.row.status in BEFORE_PAYMENT:
        return case.row.waiting_since
    return _waiting_since(case, _S.AWAITING_APPROVAL)


def _known(case: Case, status: ReferralStatus, again_at: datetime | None = None) -> dict[str, Any]:
    """Return what the row says of a referral with this verdict."""
    return {
        "status": status.value,
        "reason": None,
        "deadline": case.course.deadline if status in TIMED else None,
        "wake_at": earliest(_wake_at(case, status), again_at),
        "waiting_since": _waiting_since(case, status),
        "version": case.version,
        "judged_version": case.row.facts_version,
        "judged_at": case.now,
        "program": case.origin.program,
        "referrer": case.origin.referrer,
        "channel": case.origin.channel,
        "began_at": case.origin.began_at,
        **_conversion(case),
    }


async def _save(
    connection: AsyncConnection, case: Case, known: Mapping[str, Any], claim: RewardClaim | None
) -> Referral:
    """Save what is known to the row, plan the messages about a change, and return the row."""
    row = await referrals.write(connection, case.row, case.now, stored=case.stored, **known)
    assert row.status is not None
    if row.status is _S.AWAITING_APPROVAL and row.waiting_since is not None:
        upkeep.date(connection, row.id, Due(row.waiting_since, patience(row.waiting_since, case.terms)))
    await notices.tell_of_status(connection, case, row.status, Reason(row.reason) if row.reason else None, claim)
    return row


async def close(
    connection: AsyncConnection,
    case: Case,
    status: ReferralStatus,
    reason: Reason | None,
    claim: RewardClaim | None = None,
    **values: Any,
) -> Standing:
    """Closes a referral without a reward. From here on only the decision to reopen it changes anything."""
    await reservations.cancel(
        connection, case, f"{label('status', status)}: {label('reason', reason) if reason else 'by its parties'}"
    )
    if case.row.claimed_at is not None:
        await wake_rivals(connection, await rivals(connection, case), case)
    return await write(
        connection,
        case,
        status,
        claim,
        reason=reason.value if reason else None,
        deadline=None,
        wake_at=None,
        closed_at=case.now,
        closed_version=case.row.facts_version,
        late_facts=late_at_closing(case),
        **values,
    )


async def set_aside(connection: AsyncConnection, row: Referral | None, now: datetime) -> Standing:
    """End a run that has nothing to judge: an unknown referral, parked facts, or a merged request."""
    if row is not None:
        closed: dict[str, Any] = {"status": _S.WITHDRAWN.value} if row.merged_into and row.status else {}
        await referrals.write(connection, row, now, judged_version=row.facts_version, wake_at=None, **closed)
    return Standing(status=_S.WITHDRAWN, closed=True, program=(row.program if row else None) or "")


async def still_closed(connection: AsyncConnection, row: Referral, now: datetime, past: Past) -> Standing:
    """Leave a closed referral as it is, count the late facts that matter for the queue, and return the standing."""
    late = late_facts(row, now, past)
    await referrals.write(connection, row, now, judged_version=row.facts_version, late_facts=late)
    assert row.status is not None
    return Standing(
        status=row.status,
        reason=Reason(row.reason) if row.reason else None,
        facts_version=row.facts_version,
        closed=True,
        program=row.program or "",
    )


async def await_beginning(connection: AsyncConnection, row: Referral, now: datetime, begins_at: datetime) -> Standing:
    """Let a run wait until the first fact takes effect; before that there is nothing to judge."""
    await referrals.write(connection, row, now, judged_version=row.facts_version, wake_at=begins_at)
    return Standing(
        status=_S.INVITED, wake_at=begins_at, facts_version=row.facts_version, closed=False, program=row.program or ""
    )


async def wake_rivals(connection: AsyncConnection, found: Sequence[Rival], case: Case) -> None:
    """Have the competing claims judged again, because what they were judged by has changed."""
    for rival in found:
        if rival.status in _MAY_HAVE_SEEN_OTHERWISE:
            await outbox.enqueue(connection, WakeupKind.FACT, rival.referral, case.facts[0].id)


#: One in review may be assembled at this moment, by what it has read of us before.
_MAY_HAVE_SEEN_OTHERWISE: Final = BEFORE_PAYMENT | {_S.IN_REVIEW}


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
    since = _waiting_since(case, status) if status is _S.AWAITING_APPROVAL else None
    if since is None:
        return earliest(case.course.wake_at, case.ahead_at)
    due = patience(since, case.terms)
    ahead = [at for at in (case.course.wake_at, due.remind_at, due.escalate_at) if at is not None and at > case.now]
    return earliest(*ahead, case.ahead_at)


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


def _conversion(case: Case) -> dict[str, Any]:
    q, timely = case.course.conversion, case.course.claimed_at
    return {
        "claimed_at": timely,
        "order_id": q.order if q else None,
        "conversion_at": q.occurred_at if q else None,
        "net_minor": q.net_minor if q else None,
        "currency": q.currency if q else None,
    }
