"""Prepare payouts for sending: carry out decisions, and save what is decided on an attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.decisions import key_releases
from referral_rewards.domain.payouts import attempt
from referral_rewards.domain.payouts.advice import SOON
from referral_rewards.domain.payouts.after_restore import Adopts, Reviews
from referral_rewards.domain.payouts.answering import Ending, Moves
from referral_rewards.domain.payouts.attempt import Change, Examine
from referral_rewards.domain.payouts.moving import Earlier, NotNow, ToSend
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import OUTSIDE
from referral_rewards.domain.payouts.states import PaymentRequest, PayoutState
from referral_rewards.domain.referrals.case import NEVER_JUDGED, case_on
from referral_rewards.domain.referrals.inquiries import Answers, Question
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, advance
from referral_rewards.register import outbox, outgoing_events, payout_history, rail_halts
from referral_rewards.register.cycles import legs as cycle_legs
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles import sending as cycle_sending
from referral_rewards.register.decisions import chain, effects
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payouts import acts as payout_acts
from referral_rewards.register.payouts import endings, generations, redirecting, renewal
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts.loading import Loaded, at_its_probe, examined, load
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.inquiries import question_of

_S = ReferralStatus
_P = PayoutState
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


async def begin(connection: AsyncConnection, payout: UUID, now: datetime, keys: KeyRing) -> Outset | None:
    """Carry out open decisions on a payout, after freezing it again if an offset ended; None if there is no payout."""
    held = await renewal.hold(connection, payout, now)
    if (found := held.row) is None:
        return None
    opening = (await connection.execute(_OPENING, {"id": payout, "referrals": list(held.named)})).one()
    made, _ = chain.verified(opening.made, keys)
    decided = await payout_acts.carry_out(connection, payout, made, now, keys)
    if not decided:
        decided = await redirecting.carry_out(connection, found, now, keys)
    if decided:
        found = await payout_rows.read(connection, payout)
        await payout_rows.tell(connection, found, held.named, PayoutState(found.state))
    asked: dict[str, Question] = {}
    known = await claims.pasts_of(connection, opening.pasts, keys) if found.state in _TO_BE_SENT else {}
    for row in held.referrals if known else ():
        if (case := case_on(row, now, known[row.id].facts, known[row.id])) is not None:
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
    *,
    exports: bool = False,
) -> ToSend[PaymentRequest] | NotNow:
    """Verify everything that must hold before money moves, and then record the attempt.

    This is one transaction that holds the rows of the referrals: a fact that commits before it stops the payment, and
    a fact that commits after it opens a clawback case. ``answers`` are the sources' answers to `Outset.questions`. The
    outset's row is used only to find the locks to take. ``exports``: a person asks for its instruction (`exporting`).
    """
    loaded = await load(connection, outset.row, now, keys, rails)
    if loaded is None:
        return NotNow(_P.CANCELLED, "there is no such payout")
    loaded = replace(loaded, dossier=replace(loaded.dossier, exports=exports))
    change = attempt.decide(loaded.dossier)
    if isinstance(change, Examine):
        loaded = await examined(connection, loaded, answers, keys)
        change = attempt.decide(loaded.dossier)
    if isinstance(change, attempt.Sends) and change.probes:
        loaded = await at_its_probe(connection, loaded)
        change = attempt.decide(loaded.dossier)
    assert not isinstance(change, Examine)
    step = await _save(connection, loaded, change)
    if isinstance(step, NotNow) and not exports:
        await payout_rows.due(connection, outset.row.id, now, step.again_after)
    return step


def as_it_was_sent(payout: Payout, earlier: Sequence[Earlier] = ()) -> ToSend[PaymentRequest]:
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


async def _save(connection: AsyncConnection, loaded: Loaded, change: Change) -> ToSend[PaymentRequest] | NotNow:
    """Save what was decided, and return what is to be done next."""
    payout, now = loaded.dossier.payout, loaded.dossier.now
    if payout != loaded.stored:
        await payout_rows.mend(connection, payout)
    await effects.record(connection, loaded.forged, "forged", now, "no signature that we believe")
    match change:
        case attempt.Waits(why, again_after):
            return NotNow(payout.state, why, again_after)
        case attempt.Stops(why):
            return await _stop(connection, payout, now, why)
        case attempt.GoesBack(why):
            await cycle_sending.go_back(connection, payout, why, now)
            return NotNow(_P.PLANNED, why)
        case attempt.IsTooLittle(why):
            await cycle_legs.cancel(connection, payout, why, now)
            return NotNow(_P.CANCELLED, why)
        case attempt.Drops() | attempt.JudgesAgain():
            return await _judge_again(connection, loaded, change)
        case attempt.Polls(probes):
            return await _committed(connection, loaded, payout_history.POLLED, probes=probes)
        case attempt.Sends():
            return await _send(connection, loaded, change)


async def _send(connection: AsyncConnection, loaded: Loaded, change: attempt.Sends) -> ToSend[PaymentRequest] | NotNow:
    """Record the attempt, before any call. A payout whose deductions leave nothing to send is settled instead.

    Raises:
        ImpossibleTransition: if a referral can't be paid in its status; it is a bug.
    """
    payout, now = loaded.dossier.payout, loaded.dossier.now
    for row in loaded.rows:
        if row.id in change.first_of:
            advance(row.status, _S.PAYING)
    if change.probes:
        await rail_halts.probed(connection, payout.rail, now)
    stand = change.stance
    # What a restore leaves open counts as sent since then: by now its provider may have forgotten its key.
    seen_at = min(stand.since, now) if isinstance(stand, Adopts | Reviews) else now
    attempted = {"id": payout.id, "at": now, "seen_at": seen_at, "first_of": list(change.first_of)}
    await connection.execute(_COMMIT_ATTEMPT, attempted)
    act = payout_history.SENT if payout.key_used_at is None else payout_history.LOOKED_UP
    if isinstance(stand, Adopts | Reviews):
        act = payout_history.ADOPTED
    step = await _committed(connection, loaded, act, probes=change.probes, may_resend=change.may_resend)
    if isinstance(stand, Reviews):
        its = await endings.surroundings(connection, payout, loaded.dossier.named)
        moves = Moves(_P.MANUAL_REVIEW, stand.why)
        await endings.save(connection, payout, loaded.dossier.named, moves, now, its)
        return NotNow(_P.MANUAL_REVIEW, stand.why)
    if isinstance(stand, Adopts):
        return replace(step, found=stand.answer)
    if not change.settles_at_once:
        return step
    why = "nothing is left to send"
    its = await endings.surroundings(connection, payout, loaded.dossier.named)
    await endings.save(connection, payout, loaded.dossier.named, Moves(_P.SETTLED, why, ending=Ending.PAID), now, its)
    return NotNow(_P.SETTLED, why)


async def _committed(
    connection: AsyncConnection,
    loaded: Loaded,
    act: str,
    *,
    probes: bool,
    may_resend: bool = False,
) -> ToSend[PaymentRequest]:
    payout, now = loaded.dossier.payout, loaded.dossier.now
    return ToSend(
        request=PaymentRequest.of(payout.body),
        rail=payout.rail,
        key=payout.provider_key,
        key_used_at=payout.key_used_at,
        may_resend=may_resend,
        accepted_as=payout.provider_reference if payout.state is _P.ACCEPTED else None,
        # A register that was restored may have forgotten that it sent this, whatever it knows of the restore. Our own
        # credits are in the register itself.
        looks_first=payout.rail in OUTSIDE or payout.first_sent_at is not None,
        earlier=key_releases.earlier_keys(payout, loaded.grounds.steps),
        generation=payout.generation,
        probes=probes,
        step=await payout_history.append(connection, payout.id, payout.generation, now, act),
    )


async def _judge_again(
    connection: AsyncConnection, loaded: Loaded, change: attempt.Drops | attempt.JudgesAgain
) -> NotNow:
    """Take the rewards that changed out of a cycle's payout, or have the claims assembled again."""
    payout, now = loaded.dossier.payout, loaded.dossier.now
    rows = {row.id: row for row in loaded.rows}
    if isinstance(change, attempt.Drops):
        for referral, why in change.shares:
            legs = [leg for leg in loaded.grounds.legs if leg.referral_id == referral]
            await cycle_sending.drop(connection, rows[referral], legs, payout, why, now)
    else:
        for referral in change.referrals:
            await referrals.write(connection, rows[referral], now, claim_version=NEVER_JUDGED)
            await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout.id)
    return NotNow(payout.state, change.why, SOON)


async def _stop(connection: AsyncConnection, payout: Payout, now: datetime, why: str) -> NotNow:
    """Put a payout into review by a person instead of paying it."""
    await payout_rows.move(connection, payout.id, _P.MANUAL_REVIEW, now, why, None)
    for referral in await payout_rows.referrals_of(connection, payout.id):
        await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, referral, payout.id)
    if payout.cycle_id is not None:
        await cycles.wake_once_over(connection, payout.cycle_id)
    return NotNow(_P.MANUAL_REVIEW, why)


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
