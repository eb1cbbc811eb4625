"""Payouts on record: verifying that a person approved them, committing the first attempt, and noting the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import ledger as books
from referral_rewards.domain.claims import RewardClaim
from referral_rewards.domain.facts import CLOCK_SKEW_MAX
from referral_rewards.domain.inquiries import Answers, Question
from referral_rewards.domain.lifecycle import ReferralStatus
from referral_rewards.domain.payouts import (
    AT_REST,
    TRANSITIONS,
    PaymentRequest,
    PayoutState,
    body_hash,
    payout_id,
    provider_key,
)
from referral_rewards.domain.ruling import Ruling, ruling
from referral_rewards.register import claims, decisions, ledger, moves, outbox, queue, referrals
from referral_rewards.register.assembly import build_claim
from referral_rewards.register.cases import open_case
from referral_rewards.register.inquiries import question_of
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.signing import KeyRing

_S = ReferralStatus
#: The referral's own judgement is on its way; a rail may take people to connect.
_SOON: Final = timedelta(seconds=2)
_ONCE_CONNECTED: Final = timedelta(hours=1)
#: A source that does not answer is asked again so often and for so long before people are asked to do without it.
_SOURCE_AGAIN: Final = timedelta(minutes=1)
_SOURCE_PATIENCE: Final = timedelta(hours=1)


class NotAuthorised(Exception):
    """No genuine, current human decision stands behind this payout. Not an error to retry: a reason not to pay."""


class ClaimChanged(Exception):
    """A genuine decision stands behind it, but the claim is no longer the one that was decided on."""


class SourcesSilent(Exception):
    """What the sources said is not to the point any more, or one of them did not answer: ask again after a while."""

    def __init__(self, why: str, again_after: timedelta) -> None:
        super().__init__(why)
        self.again_after = again_after


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


async def question(connection: AsyncConnection, payout: UUID, now: datetime) -> Question | None:
    """What the sources have to be asked before the payout may be sent; None if it is at rest, or nobody's."""
    found = (await connection.execute(_PAYOUT, {"id": payout})).one_or_none()
    if found is None or PayoutState(found.state) in AT_REST:
        return None
    row = await referrals.row(connection, found.referral_id)
    case = await open_case(connection, row, now) if row is not None else None
    return question_of(case) if case is not None else None


async def commit_attempt(
    connection: AsyncConnection,
    payout: UUID,
    now: datetime,
    keys: KeyRing,
    rails: frozenset[str],
    answers: Answers | None,
) -> ToSend | NotNow:
    """Verifies everything that must hold before money moves and, if it does, puts the attempt on record.

    In one transaction that holds the referral's row: a fact that commits before this stops the payment, one that
    commits after it opens a clawback case. ``answers`` are what the sources said to `question` a moment ago.
    """
    found = (await connection.execute(_PAYOUT, {"id": payout})).one_or_none()
    if found is None:
        return NotNow(PayoutState.CANCELLED, "there is no such payout")
    row = await referrals.hold(connection, found.referral_id)
    found = (await connection.execute(_PAYOUT, {"id": payout})).one()
    state = PayoutState(found.state)
    if state in AT_REST:
        return NotNow(state, found.why or "nothing more to do")
    if row is None:
        return await _stop(connection, found, now, "there is no such referral")
    if body_hash(found.body) != found.body_hash:
        return await _stop(connection, found, now, "the stored request is not the one that was frozen")
    if found.provider_key != provider_key(payout, found.generation):
        return await _stop(connection, found, now, "the stored key is not its own")
    if await ledger.find(connection, books.settled_key(str(payout))):
        # The books are append-only; the row can only have been changed by hand.
        return await _stop(connection, found, now, "the books show that it was settled already")
    may_resend, ahead_by = True, None
    try:
        ahead_by = await _verify(connection, row, found, now, keys, answers)
    except NotAuthorised as reason:
        return await _stop(connection, found, now, str(reason))
    except SourcesSilent as reason:
        return NotNow(state, str(reason), reason.again_after)
    except ClaimChanged as reason:
        if found.first_sent_at is None:
            return await _not_as_approved(connection, row, found, now, str(reason))
        may_resend = False
    if found.rail not in rails:
        return NotNow(state, f"the rail {found.rail} is not connected here", _ONCE_CONNECTED)
    if found.first_sent_at is None:
        if row.judged_version != row.facts_version or row.claim_version != row.facts_version:
            return NotNow(state, "facts arrived that were not judged yet", _SOON)
        if row.status not in (_S.APPROVED, _S.PAYING):
            return NotNow(state, f"the referral is {row.status}", _SOON)
        if ahead_by is not None:
            # It takes effect at its own time, and may stop this. If only our clock is behind, a look now and then does.
            return NotNow(state, "something was told that is about to happen", min(ahead_by, CLOCK_SKEW_MAX) + _SOON)
        await connection.execute(_COMMIT_ATTEMPT, {"id": payout, "at": now})
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
    found = (await connection.execute(_PAYOUT, {"id": payout})).one()
    await referrals.hold(connection, found.referral_id)
    found = (await connection.execute(_PAYOUT, {"id": payout})).one()
    state = PayoutState(found.state)
    if to is state or to not in TRANSITIONS[state]:
        return state
    await connection.execute(_NOTE, {"id": payout, "state": to, "reference": reference, "why": why, "at": now})
    if to is PayoutState.SETTLED:
        await connection.execute(_LEGS_PAID, {"id": payout})
        entry = books.settled(str(payout), found.rail, found.payee, found.amount_minor, found.currency)
        await ledger.post(connection, entry, program=found.body["program"], referral=found.referral_id, at=now)
    await queue.keep(connection, found.referral_id)
    if to not in AT_REST or await _all_at_rest(connection, found.referral_id):
        await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, found.referral_id, payout)
    return to


async def remark(connection: AsyncConnection, payout: UUID, why: str) -> PayoutState:
    """Says why a payout stays where it stands; it moves nowhere."""
    return PayoutState((await connection.execute(_REMARK, {"id": payout, "why": why})).scalar_one())


async def _verify(
    connection: AsyncConnection, row: Any, payout: Any, now: datetime, keys: KeyRing, answers: Answers | None
) -> timedelta | None:
    """Returns if the payout pays what people with the authority approved, and nothing else: None, or how far ahead of
    us a fact lies that was told already.

    Nothing that a row says of itself is believed. The claim is judged anew from the facts; what the signatures must be
    over is the digest that this comes to, and what may be paid is what that claim says.

    Raises:
        NotAuthorised: with the reason, in one sentence.
        ClaimChanged: likewise, if it was approved and then changed.
        SourcesSilent: likewise, if a source has to be asked (again) first.
    """
    legs = (await connection.execute(_LEGS, {"id": payout.id})).all()
    if not legs or {leg.claim_id for leg in legs} != {row.claim_id}:
        raise NotAuthorised("it pays no leg of the referral's current claim")
    if not await moves.holds(connection, row, keys):
        raise NotAuthorised("no signed decision moved it to its referrer")
    held, as_stored = await claims.current(connection, row.claim_id)
    case = await open_case(connection, row, now)
    if case is None:
        raise NotAuthorised("no facts stand behind it")
    if answers is None or answers.question != question_of(case):
        raise SourcesSilent("what the sources were asked is not the question any more", _SOON)
    again, _ = await build_claim(connection, case, answers)
    genuine, forged = await decisions.on_referral(connection, row.id, keys)
    await decisions.record_effect(connection, forged, "forged", now, "no signature that we believe")
    made = [decision for decision in genuine if decision.claim_id == row.claim_id]
    if payout.first_sent_at is None and (barred := await decisions.of_the_barred(connection, made)):
        raise ClaimChanged(f"{', '.join(sorted({each.user for each in barred}))}, who approved it, was barred since")
    signoffs = [decision.signoff for decision in made]
    if moves.decided(held, made):
        raise ClaimChanged("people decided to move it to another referrer")
    ruled = ruling(again.requirement, signoffs, again.digest)
    if ruled is not Ruling.APPROVED:
        if ruled is not Ruling.PENDING or ruling(held.requirement, signoffs, held.digest) is not Ruling.PENDING:
            if not answers.all_came and now < payout.updated_at + _SOURCE_PATIENCE:
                raise SourcesSilent("a source does not answer; nothing is paid meanwhile", _SOURCE_AGAIN)
            raise ClaimChanged("the claim, or the ruling on it, changed since it was approved")
        raise NotAuthorised("no signed decision of enough people with the authority approves it")
    if not _pays_only(payout, legs, again, as_stored.round):
        raise NotAuthorised("it does not pay what was approved")
    unknown = (await connection.execute(_UNKNOWN, {"names": [decision.user for decision in made]})).scalars().all()
    if unknown and payout.first_sent_at is None:
        raise NotAuthorised(f"{', '.join(unknown)}, who decided on it, is not among the people who may")
    return case.ahead_at - case.now if case.ahead_at is not None else None


def _pays_only(payout: Any, legs: Sequence[Any], claim: RewardClaim, round_: int) -> bool:
    """Whether it is, to the unit, the payout of these legs, and each of them is one that the claim promises.

    Its name follows from the leg, so that a second payout of a leg that was paid can't bear it. Nobody can
    release a refused one yet, so that nothing begets a second generation of its key.
    """
    if payout.generation != 1:
        return False
    promised = {_terms_of(leg) for leg in claim.legs}
    if {payout.id} != {payout_id(claim.referral, leg.role, round_) for leg in legs}:
        return False
    if not all(_terms_of(leg) in promised and leg.rail == payout.rail for leg in legs):
        return False
    frozen = PaymentRequest(
        payout_id=payout.id,
        payee=legs[0].beneficiary,
        amount_minor=sum(leg.amount_minor for leg in legs),
        currency=legs[0].currency,
        destination=legs[0].destination,
        program=claim.program,
        referral=claim.referral,
    )
    return (payout.body, payout.payee, payout.amount_minor, payout.currency) == (
        frozen.body(),
        frozen.payee,
        frozen.amount_minor,
        frozen.currency,
    )


def _terms_of(leg: Any) -> tuple[str | int | None, ...]:
    """What a leg promises, of a claim's or a row."""
    return (str(leg.role), leg.beneficiary, leg.amount_minor, leg.currency, leg.rail, leg.destination)


async def _not_as_approved(connection: AsyncConnection, row: Any, payout: Any, now: datetime, why: str) -> NotNow:
    """Another leg was sent: this one stops for a person. None was: the claim is assembled anew, which takes the
    approval back, whether it was a fact that changed it or something that no fact tells of."""
    if row.status == _S.PAYING:
        return await _stop(connection, payout, now, why)
    await referrals.write(connection, row, now, claim_version=claims.NEVER_JUDGED)
    await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, row.id, payout.id)
    return NotNow(PayoutState(payout.state), why, _SOON)


async def _stop(connection: AsyncConnection, payout: Any, now: datetime, why: str) -> NotNow:
    """Puts a payout before a person instead of paying it."""
    await connection.execute(
        _NOTE, {"id": payout.id, "state": PayoutState.MANUAL_REVIEW, "reference": None, "why": why, "at": now}
    )
    await queue.keep(connection, payout.referral_id)
    await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, payout.referral_id, payout.id)
    return NotNow(PayoutState.MANUAL_REVIEW, why)


async def _all_at_rest(connection: AsyncConnection, referral: str) -> bool:
    states = (await connection.execute(_STATES, {"referral": referral})).scalars()
    return all(PayoutState(state) in AT_REST for state in states)


_PAYOUT: Final = text("SELECT * FROM payout WHERE id = :id")

_LEGS: Final = text("""
SELECT l.* FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = :id AND pl.live
""")

_STATES: Final = text("SELECT state FROM payout WHERE referral_id = :referral")

_UNKNOWN: Final = text("""
SELECT name FROM unnest(CAST(:names AS text[])) AS asked(name)
WHERE NOT EXISTS (SELECT 1 FROM app_user u WHERE u.name = asked.name AND u.barred_at IS NULL)
ORDER BY name
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
