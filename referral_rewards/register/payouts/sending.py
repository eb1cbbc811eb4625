"""Prepare payouts for sending: carry out decisions, verify everything, and commit the attempt."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.facts.events import CLOCK_SKEW_MAX
from referral_rewards.domain.labels import label
from referral_rewards.domain.payouts.advice import NOT_CONNECTED, PLANNED_LONG_AGO, PROBE, SOON
from referral_rewards.domain.payouts.answering import Ending, Moves
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import (
    AT_REST,
    Accepted,
    Paid,
    PaymentRequest,
    PayoutState,
    body_hash,
)
from referral_rewards.domain.referrals.inquiries import Answers, Question
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, advance
from referral_rewards.domain.restores.forgotten import Adopts, Goes, Reviews, Stance, Waits, stance
from referral_rewards.register import outbox, outgoing_events, payout_history, rail_halts
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles import sending as cycle_sending
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payouts import acts as payout_acts
from referral_rewards.register.payouts import endings, generations, renewal
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts.authority import (
    ClaimChanged,
    NotAuthorised,
    Share,
    SourcesSilent,
    check_whole,
    shares,
    verify,
)
from referral_rewards.register.payouts.generations import Earlier
from referral_rewards.register.payouts.grounds import load
from referral_rewards.register.payouts.rows import Held
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.inquiries import question_of
from referral_rewards.register.restores import assigning

_S = ReferralStatus
_P = PayoutState
_GOES: Final = Goes()
#: The states from which a payout is sent next; that needs verification, and the sources' answers for it.
_TO_BE_SENT: Final = frozenset({_P.APPROVED, _P.SENDING, _P.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Outset:
    """A payout after open decisions were carried out (``decided``: at least one was).

    ``questions`` are those to ask the sources before it may be sent, by referral. ``earlier`` holds the keys of a
    cancelled payout's earlier generations.
    """

    row: Payout
    questions: Mapping[str, Question]
    decided: bool
    earlier: Sequence[Earlier] = ()


@dataclass(frozen=True, slots=True)
class ToSend:
    """A payout that may be sent under its ``key``.

    The rail may have seen the key since ``key_used_at``; None: it has not. If an attempt may have been sent
    (``looks_first``, or a used key), its outcome is looked up first, also under the keys of ``earlier`` generations.
    The same request may be sent again only if the claim is unchanged (``may_resend``), and never if the rail accepted
    it (``accepted_as``: the rail's reference). ``step`` is the number of this attempt in the history. ``probes``: it is
    the probe of a halted rail. ``found`` is the rail's answer if its list showed it already, in a payment that the
    register had forgotten: then nothing is sent.
    """

    request: PaymentRequest
    rail: str
    key: str
    key_used_at: datetime | None
    may_resend: bool
    accepted_as: str | None = None
    looks_first: bool = False
    earlier: Sequence[Earlier] = ()
    generation: int = 1
    probes: bool = False
    step: int = 0
    found: Paid | Accepted | None = None


@dataclass(frozen=True, slots=True)
class NotNow:
    """A payout that is not to be sent now, and when to try again; None: not before it is woken."""

    state: PayoutState
    why: str
    again_after: timedelta | None = None


async def begin(connection: AsyncConnection, payout: UUID, now: datetime, keys: KeyRing) -> Outset | None:
    """Carry out open decisions on a payout, after freezing it again if an offset ended; None if there is no payout."""
    held = await renewal.hold(connection, payout, now)
    if (found := held.row) is None:
        return None
    opening = (await connection.execute(_OPENING, {"id": payout, "referrals": held.named})).one()
    made, _ = chain.verified(opening.made, keys)
    decided = await payout_acts.carry_out(connection, payout, made, now, keys)
    if decided:
        found = await payout_rows.read(connection, payout)
        await payout_rows.tell(connection, found, held.named, PayoutState(found.state))
    asked: dict[str, Question] = {}
    known = await claims.pasts_of(connection, opening.pasts) if found.state in _TO_BE_SENT else {}
    for row in held.referrals if known else ():
        if (case := claims.case_on(referrals.of_row(row), now, known[row.id].facts, known[row.id])) is not None:
            asked[row.id] = question_of(case)
    earlier = await generations.earlier(connection, found) if found.state == _P.CANCELLED else ()
    return Outset(found, asked, decided, earlier)


async def commit_attempt(
    connection: AsyncConnection,
    outset: Outset,
    now: datetime,
    keys: KeyRing,
    rails: frozenset[str],
    answers: Mapping[str, Answers],
) -> ToSend | NotNow:
    """Verify everything that must hold before money moves, and then record the attempt.

    This is one transaction that holds the rows of the referrals: a fact that commits before it stops the payment, and
    a fact that commits after it opens a clawback case. ``answers`` are the sources' answers to `Outset.questions`. The
    outset's row is used only to find the locks to take.
    """
    step = await _attempt(connection, outset.row, now, keys, rails, answers)
    if isinstance(step, NotNow):
        await payout_rows.due(connection, outset.row.id, now, step.again_after)
    return step


def as_it_was_sent(payout: Payout, earlier: Sequence[Earlier] = ()) -> ToSend:
    """Return the last attempt of a payout at rest, to be looked up again with ``earlier`` keys and never sent."""
    return ToSend(
        request=PaymentRequest.of(payout.body),
        rail=payout.rail,
        key=payout.provider_key,
        key_used_at=payout.key_used_at,
        may_resend=False,
        accepted_as=payout.provider_reference,
        looks_first=True,
        earlier=earlier,
        generation=payout.generation,
    )


async def _attempt(
    connection: AsyncConnection,
    known: Payout,
    now: datetime,
    keys: KeyRing,
    rails: frozenset[str],
    answers: Mapping[str, Answers],
) -> ToSend | NotNow:
    (rows, found), cycle = await _hold(connection, known)
    if found is None:
        return NotNow(_P.CANCELLED, "there is no such payout")
    grounds = await load(connection, found, rows, keys)
    found = await payout_rows.hold_to_its_history(connection, found, grounds.dates)
    state = PayoutState(found.state)
    if state in AT_REST or state is _P.WAITING_FUNDS:
        return NotNow(state, found.why or "nothing more to do")
    if (waits := await cycle_sending.wait(connection, found, cycle, now, keys)) is not None:
        return NotNow(*waits)
    if state is _P.PLANNED:
        return NotNow(state, "nobody has released it")
    legs = grounds.legs
    locked = [row.id for row in rows]
    # If it pays no leg any more, the locked referrals are those whose legs it was to pay.
    named = payout_rows.named_by(found, legs) if legs else locked
    if not locked or await _unheard_of(connection, set(named).difference(locked)):
        return await _stop(connection, found, now, "there is no such referral")
    if (named, found.cycle_id, found.payee) != (locked, known.cycle_id, known.payee):
        return NotNow(state, "what it pays changes just now", SOON)
    if body_hash(found.body) != found.body_hash:
        return await _stop(connection, found, now, "the stored request is not the one that was frozen")
    if (why := await generations.flaw(connection, found, grounds, keys)) is not None:
        return await _stop(connection, found, now, why)
    stand = stance(found, grounds.after, grounds.forgotten, now)
    if isinstance(stand, Adopts) and (why := await assigning.flaw(connection, stand.by, found.id, keys)) is not None:
        return await _stop(connection, found, now, why)
    # A payment that was made already needs no rail that is open.
    halt = grounds.halt if not isinstance(stand, Adopts | Reviews) else None
    if (waits_for_rail := rail_halts.wait(halt, now)) is not None:
        return NotNow(state, waits_for_rail[1], waits_for_rail[0])
    if state is _P.ACCEPTED and found.provider_reference is not None and found.rail in rails:
        # Polling its outcome sends nothing.
        return await _committed(connection, found, now, (), may_resend=False, probes=halt is not None)
    if isinstance(stand, Waits):
        return NotNow(state, stand.why, PROBE)
    its = shares(rows, legs, answers)
    ahead_by = None
    changed: list[tuple[Share, str]] = []
    try:
        await check_whole(connection, found, its, grounds, keys)
        for share in its:
            try:
                ahead_by = _longer(ahead_by, await verify(connection, found, share, grounds, now, keys))
            except ClaimChanged as reason:
                changed.append((share, str(reason)))
    except NotAuthorised as reason:
        return await _stop(connection, found, now, str(reason))
    except SourcesSilent as reason:
        return NotNow(state, str(reason), reason.again_after)
    if changed and found.first_sent_at is None:
        return await _not_as_approved(connection, changed, found, now)
    if changed and found.key_used_at is None:
        return await _stop(connection, found, now, changed[0][1])
    if found.rail not in rails:
        return NotNow(state, f"{label('rail', found.rail)} is not connected", NOT_CONNECTED)
    if found.key_used_at is None:
        for row in rows:
            if row.judged_version != row.facts_version or row.claim_version != row.facts_version:
                return NotNow(state, "facts arrived that were not judged yet", SOON)
            if row.status not in (_S.APPROVED, _S.PAYING) and found.first_sent_at is None:
                return NotNow(state, f"referral {row.id} is {label('status', row.status)}", SOON)
        if ahead_by is not None:
            # A fact that takes effect later may stop the payment. Look again soon, in case only our clock is behind.
            return NotNow(state, "something was told that is about to happen", min(ahead_by, CLOCK_SKEW_MAX) + SOON)
    if halt is not None and (waits_for_rail := await rail_halts.take_probe(connection, found.rail, now)) is not None:
        return NotNow(state, waits_for_rail[1], waits_for_rail[0])
    first_of = [row for row in rows if row.status != _S.PAYING] if found.first_sent_at is None else []
    if grounds.dates.planned_at is not None and now - grounds.dates.planned_at >= PLANNED_LONG_AGO:
        stand = Goes(looks_first=True) if isinstance(stand, Goes) else stand
    step = await _committed(connection, found, now, first_of, stand, may_resend=not changed, probes=halt is not None)
    if isinstance(stand, Reviews):
        return await _may_have_been_paid(connection, found, named, stand.why, now)
    if found.amount_minor == 0:
        return await _nothing_to_send(connection, found, named, now)
    return step


async def _hold(connection: AsyncConnection, known: Payout) -> tuple[Held, Any | None]:
    """Lock the payout's referrals, its payee and its cycle if it has one, and then its own row; return the cycle's row
    too."""
    if known.cycle_id is None:
        return await payout_rows.hold(connection, known.id), None
    rows = await payout_rows.hold_referrals(connection, known.id)
    cycle = await cycle_sending.hold(connection, known)
    return Held(rows, await payout_rows.hold_alone(connection, known.id)), cycle


async def _unheard_of(connection: AsyncConnection, named: Collection[str]) -> bool:
    """Return whether one of these referrals does not exist, rather than just not being locked."""
    return any([await referrals.row(connection, name) is None for name in named])


async def _committed(
    connection: AsyncConnection,
    payout: Payout,
    now: datetime,
    first_of: Sequence[Any],
    stand: Stance = _GOES,
    *,
    may_resend: bool,
    probes: bool,
) -> ToSend:
    """Record the attempt, before any call. It is the first payment of the referrals ``first_of``.

    Where a restore leaves it open whether the rail has seen it, it counts as sent since the restore (``stand``).

    Raises:
        ImpossibleTransition: if one of them can't be paid in its status; it is a bug.
    """
    polls = payout.state == _P.ACCEPTED
    for row in first_of:
        advance(ReferralStatus(row.status) if row.status else None, _S.PAYING)
    if not polls:
        seen_at = min(stand.since, now) if isinstance(stand, Adopts | Reviews) else now
        attempt = {"id": payout.id, "at": now, "seen_at": seen_at, "first_of": [row.id for row in first_of]}
        await connection.execute(_COMMIT_ATTEMPT, attempt)
    act = payout_history.SENT if payout.key_used_at is None else payout_history.LOOKED_UP
    if isinstance(stand, Adopts | Reviews):
        act = payout_history.ADOPTED
    return ToSend(
        request=PaymentRequest.of(payout.body),
        rail=payout.rail,
        key=payout.provider_key,
        key_used_at=payout.key_used_at,
        may_resend=may_resend,
        accepted_as=payout.provider_reference if polls else None,
        looks_first=payout.first_sent_at is not None or (isinstance(stand, Goes) and stand.looks_first),
        found=stand.answer if isinstance(stand, Adopts) else None,
        earlier=await generations.earlier(connection, payout),
        generation=payout.generation,
        probes=probes,
        step=await payout_history.append(
            connection, payout.id, payout.generation, now, payout_history.POLLED if polls else act
        ),
    )


async def _nothing_to_send(connection: AsyncConnection, payout: Payout, named: Sequence[str], now: datetime) -> NotNow:
    """Settle a verified payout whose deductions leave nothing to send; no rail is called."""
    why = "nothing is left to send"
    its = await endings.surroundings(connection, payout, named)
    await endings.save(connection, payout, named, Moves(_P.SETTLED, why, ending=Ending.PAID), now, its)
    return NotNow(_P.SETTLED, why)


async def _may_have_been_paid(
    connection: AsyncConnection, payout: Payout, named: Sequence[str], why: str, now: datetime
) -> NotNow:
    """Put a payout that may have been paid before a restore into review by a person."""
    its = await endings.surroundings(connection, payout, named)
    await endings.save(connection, payout, named, Moves(_P.MANUAL_REVIEW, why), now, its)
    return NotNow(_P.MANUAL_REVIEW, why)


async def _not_as_approved(
    connection: AsyncConnection, changed: Sequence[tuple[Share, str]], payout: Payout, now: datetime
) -> NotNow:
    """Handle claims that changed after their approval.

    If another leg of the referral was sent, the payout stops for review by a person. Otherwise the claim is assembled
    again, which voids the approval, whether or not a fact changed it. In a cycle's payout only the changed legs leave.
    """
    for share, why in changed:
        if payout.cycle_id is not None:
            await cycle_sending.drop(connection, share.row, share.legs, payout, why, now)
        elif share.row.status == _S.PAYING:
            return await _stop(connection, payout, now, why)
        else:
            await referrals.write(connection, share.row, now, claim_version=claims.NEVER_JUDGED)
            await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, share.row.id, payout.id)
    return NotNow(PayoutState(payout.state), changed[0][1], SOON)


async def _stop(connection: AsyncConnection, payout: Payout, now: datetime, why: str) -> NotNow:
    """Put a payout into review by a person instead of paying it."""
    await payout_rows.move(connection, payout.id, _P.MANUAL_REVIEW, now, why, None)
    for referral in await payout_rows.referrals_of(connection, payout.id):
        await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout.id)
    if payout.cycle_id is not None:
        await cycles.wake_once_over(connection, payout.cycle_id)
    return NotNow(_P.MANUAL_REVIEW, why)


def _longer(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return max((each for each in (one, other) if each is not None), default=None)


#: The decisions on a payout whose row is held, and the pasts of its ``:referrals``.
_OPENING: Final = text(f"""
SELECT (
    SELECT coalesce(json_agg(linked ORDER BY linked.seq), '[]') FROM ({chain.LINKED} WHERE d.claim_id = :id) AS linked
) AS made, {claims.pasts("CAST(:referrals AS text[])")} AS pasts
""")  # noqa: S608 (queries of ours alone)

#: The trigger notes that the payout moved when this statement ends, so the attempt is noted by one of its own.
_COMMIT_ATTEMPT: Final = statement(
    f"""
WITH paying AS (
    UPDATE referral SET status = :paying WHERE id = ANY(CAST(:first_of AS text[]))
    RETURNING id, reason, facts_version
), {outgoing_events.steps_of("paying", _S.PAYING)}
UPDATE payout SET first_sent_at = coalesce(first_sent_at, :seen_at), key_used_at = coalesce(key_used_at, :seen_at),
                  state = CASE state WHEN :approved THEN :sending ELSE state END,
                  updated_at = CASE state WHEN :approved THEN :at ELSE updated_at END
WHERE id = :id
""",  # noqa: S608 (words of ours alone)
    paying=_S.PAYING,
    approved=_P.APPROVED,
    sending=_P.SENDING,
)
