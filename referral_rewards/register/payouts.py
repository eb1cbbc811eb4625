"""Payouts on record: committing an attempt once it is verified that people approved it, and noting the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import ledger as books
from referral_rewards.domain.facts import CLOCK_SKEW_MAX
from referral_rewards.domain.inquiries import Answers, Question
from referral_rewards.domain.lifecycle import ReferralStatus
from referral_rewards.domain.payouts import (
    AT_REST,
    TRANSITIONS,
    PaymentRequest,
    PayoutState,
    body_hash,
    provider_key,
)
from referral_rewards.register import (
    claims,
    cycle_sending,
    cycles,
    deductions,
    ledger,
    offsets,
    outbox,
    queue,
    referrals,
)
from referral_rewards.register.cases import open_case
from referral_rewards.register.inquiries import question_of
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payout_authority import (
    SOON,
    ClaimChanged,
    NotAuthorised,
    Share,
    SourcesSilent,
    check_whole,
    shares,
    verify,
)
from referral_rewards.register.signing import KeyRing

_S = ReferralStatus
#: A rail may take people to connect.
_ONCE_CONNECTED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ToSend:
    """A payout that may be sent. Of one that was ``sent_before`` the outcome is looked up first; only if the claim
    still stands (``may_resend``) the same request may go out once more, and never one that the rail has accepted
    (``accepted_as``, by its own reference)."""

    request: PaymentRequest
    rail: str
    key: str
    sent_before: datetime | None
    may_resend: bool
    accepted_as: str | None = None


@dataclass(frozen=True, slots=True)
class NotNow:
    """A payout that is not to be sent now, and when to ask again; None: it is at rest."""

    state: PayoutState
    why: str
    again_after: timedelta | None = None


async def questions(connection: AsyncConnection, payout: UUID, now: datetime) -> Mapping[str, Question]:
    """What the sources have to be asked before the payout may be sent, by referral; nothing if it is at rest."""
    found = (await connection.execute(_PAYOUT, {"id": payout})).one_or_none()
    if found is None or PayoutState(found.state) in AT_REST:
        return {}
    asked: dict[str, Question] = {}
    for referral in await _referrals_of(connection, payout):
        row = await referrals.row(connection, referral)
        case = await open_case(connection, row, now) if row is not None else None
        if case is not None:
            asked[referral] = question_of(case)
    return asked


async def commit_attempt(
    connection: AsyncConnection,
    payout: UUID,
    now: datetime,
    keys: KeyRing,
    rails: frozenset[str],
    answers: Mapping[str, Answers],
) -> ToSend | NotNow:
    """Verifies everything that must hold before money moves and, if it does, puts the attempt on record.

    In one transaction that holds the rows of its referrals: a fact that commits before this stops the payment, one that
    commits after it opens a clawback case. ``answers`` are what the sources said to `questions` a moment ago.
    """
    known = (await connection.execute(_PAYOUT, {"id": payout})).one_or_none()
    if known is None:
        return NotNow(PayoutState.CANCELLED, "there is no such payout")
    named = await _referrals_of(connection, payout)
    rows = [row for referral in named if (row := await referrals.hold(connection, referral)) is not None]
    cycle = await cycle_sending.hold(connection, known)
    found = (await connection.execute(_HOLD, {"id": payout})).one()
    state = PayoutState(found.state)
    if state in AT_REST:
        return NotNow(state, found.why or "nothing more to do")
    if (waits := await cycle_sending.wait(connection, found, cycle, now, keys)) is not None:
        return NotNow(*waits)
    if len(rows) < len(named) or not rows:
        return await _stop(connection, found, now, "there is no such referral")
    if named != await _referrals_of(connection, payout):
        return NotNow(state, "what it pays changes just now", SOON)
    if body_hash(found.body) != found.body_hash:
        return await _stop(connection, found, now, "the stored request is not the one that was frozen")
    if found.provider_key != provider_key(payout, found.generation):
        return await _stop(connection, found, now, "the stored key is not its own")
    if await ledger.find(connection, books.settled_key(str(payout))):
        # The books are append-only; the row can only have been changed by hand.
        return await _stop(connection, found, now, "the books show that it was settled already")
    its = await shares(connection, found, rows, answers)
    may_resend, ahead_by = True, None
    changed: list[tuple[Share, str]] = []
    try:
        await check_whole(connection, found, its, keys)
        for share in its:
            try:
                ahead_by = _longer(ahead_by, await verify(connection, found, share, now, keys))
            except ClaimChanged as reason:
                changed.append((share, str(reason)))
    except NotAuthorised as reason:
        return await _stop(connection, found, now, str(reason))
    except SourcesSilent as reason:
        return NotNow(state, str(reason), reason.again_after)
    if changed and found.first_sent_at is None:
        return await _not_as_approved(connection, changed, found, now)
    may_resend = not changed
    if found.rail not in rails:
        return NotNow(state, f"the rail {found.rail} is not connected here", _ONCE_CONNECTED)
    if found.first_sent_at is None:
        for row in rows:
            if row.judged_version != row.facts_version or row.claim_version != row.facts_version:
                return NotNow(state, "facts arrived that were not judged yet", SOON)
            if row.status not in (_S.APPROVED, _S.PAYING):
                return NotNow(state, f"referral {row.id} is {row.status}", SOON)
        if ahead_by is not None:
            # It takes effect at its own time, and may stop this. If only our clock is behind, a look now and then does.
            return NotNow(state, "something was told that is about to happen", min(ahead_by, CLOCK_SKEW_MAX) + SOON)
        await connection.execute(_COMMIT_ATTEMPT, {"id": payout, "at": now})
        for row in rows:
            await referrals.write(connection, row, now, status=_S.PAYING.value)
            await queue.keep(connection, row.id)
    accepted_as = found.provider_reference if state is PayoutState.ACCEPTED else None
    request = PaymentRequest.of(found.body)
    return ToSend(request, found.rail, found.provider_key, found.first_sent_at, may_resend, accepted_as)


async def note(
    connection: AsyncConnection, payout: UUID, to: PayoutState, now: datetime, *, reference: str | None, why: str | None
) -> PayoutState:
    """Moves a payout forward; a settled one is booked and its legs are paid. Wakes the referral once all are at rest.

    A state that can't follow the present one changes nothing: answers may come late and twice.
    """
    named = await _referrals_of(connection, payout)
    for referral in named:
        await referrals.hold(connection, referral)
    found = (await connection.execute(_HOLD, {"id": payout})).one()
    state = PayoutState(found.state)
    if to is state or to not in TRANSITIONS[state]:
        return state
    await connection.execute(_NOTE, {"id": payout, "state": to, "reference": reference, "why": why, "at": now})
    if to is PayoutState.SETTLED:
        await connection.execute(_LEGS_PAID, {"id": payout})
        lowered_by = await deductions.of_payout(connection, payout)
        entry = books.settled(
            str(payout), found.rail, found.payee, found.amount_minor, found.currency, deductions=lowered_by
        )
        await ledger.post(connection, entry, program=found.body["program"], referral=found.referral_id or "", at=now)
        await offsets.recovered(connection, payout, now)
    for referral in named:
        await queue.keep(connection, referral)
        if to not in AT_REST or await _all_at_rest(connection, referral):
            await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout)
    if found.cycle_id is not None and to in AT_REST:
        await cycles.wake_once_over(connection, found.cycle_id)
    return to


async def remark(connection: AsyncConnection, payout: UUID, why: str) -> PayoutState:
    """Says why a payout stays where it stands; it moves nowhere."""
    return PayoutState((await connection.execute(_REMARK, {"id": payout, "why": why})).scalar_one())


async def _not_as_approved(
    connection: AsyncConnection, changed: Sequence[tuple[Share, str]], payout: Any, now: datetime
) -> NotNow:
    """Another leg was sent: this one stops for a person. None was: the claim is assembled anew, which takes the
    approval back, whether it was a fact that changed it or something that no fact tells of. Of a cycle's payout the
    others go on."""
    for share, why in changed:
        if payout.cycle_id is not None:
            await cycle_sending.drop(connection, share.row, share.legs, payout, why, now)
        elif share.row.status == _S.PAYING:
            return await _stop(connection, payout, now, why)
        else:
            await referrals.write(connection, share.row, now, claim_version=claims.NEVER_JUDGED)
            await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, share.row.id, payout.id)
    return NotNow(PayoutState(payout.state), changed[0][1], SOON)


async def _stop(connection: AsyncConnection, payout: Any, now: datetime, why: str) -> NotNow:
    """Puts a payout before a person instead of paying it."""
    await connection.execute(
        _NOTE, {"id": payout.id, "state": PayoutState.MANUAL_REVIEW, "reference": None, "why": why, "at": now}
    )
    for referral in await _referrals_of(connection, payout.id):
        await queue.keep(connection, referral)
        await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout.id)
    if payout.cycle_id is not None:
        await cycles.wake_once_over(connection, payout.cycle_id)
    return NotNow(PayoutState.MANUAL_REVIEW, why)


async def _referrals_of(connection: AsyncConnection, payout: UUID) -> Sequence[str]:
    """The referrals whose legs it pays, in the order in which their rows are held; of one that pays none any more the
    referral that it was made for."""
    return (await connection.execute(_REFERRALS, {"id": payout})).scalars().all()


def _longer(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return max((each for each in (one, other) if each is not None), default=None)


async def _all_at_rest(connection: AsyncConnection, referral: str) -> bool:
    states = (await connection.execute(_STATES, {"referral": referral})).scalars()
    return all(PayoutState(state) in AT_REST for state in states)


_PAYOUT: Final = text("SELECT * FROM payout WHERE id = :id")

_HOLD: Final = text("SELECT * FROM payout WHERE id = :id FOR UPDATE")

_REFERRALS: Final = text("""
SELECT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = :id AND pl.live
UNION
SELECT referral_id FROM payout WHERE id = :id AND referral_id IS NOT NULL
ORDER BY referral_id
""")

_STATES: Final = text("""
SELECT p.state FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout p ON p.id = pl.payout_id
WHERE l.referral_id = :referral AND pl.live
""")

_COMMIT_ATTEMPT: Final = text("""
UPDATE payout SET first_sent_at = :at, state = 'sending', updated_at = :at WHERE id = :id AND first_sent_at IS NULL
""")

_NOTE: Final = text("""
UPDATE payout SET state = :state, provider_reference = coalesce(:reference, provider_reference), why = :why,
                  updated_at = :at
WHERE id = :id
""")

_REMARK: Final = text("UPDATE payout SET why = :why WHERE id = :id RETURNING state")

_LEGS_PAID: Final = text("""
UPDATE leg SET state = 'paid'
WHERE id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id AND live) AND state = 'reserved'
""")
