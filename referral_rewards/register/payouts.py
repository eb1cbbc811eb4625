"""Payouts on record: verifying that a person approved them, committing the first attempt, and noting the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import ledger as books
from referral_rewards.domain.lifecycle import ReferralStatus
from referral_rewards.domain.payouts import AT_REST, TRANSITIONS, PaymentRequest, PayoutState, body_hash
from referral_rewards.domain.ruling import Ruling, ruling
from referral_rewards.register import claims, decisions, ledger, outbox, referrals
from referral_rewards.register.dossier import Case
from referral_rewards.register.judgement import as_assembled, build_claim, open_case
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.signing import KeyRing

_S = ReferralStatus
#: The referral's own judgement is on its way; a rail may take people to connect.
_SOON: Final = timedelta(seconds=2)
_ONCE_CONNECTED: Final = timedelta(hours=1)


class NotAuthorised(Exception):
    """No genuine, current human decision stands behind this payout. Not an error to retry: a reason not to pay."""


@dataclass(frozen=True, slots=True)
class ToSend:
    """A payout that may be sent now; ``sent_before`` if an earlier attempt is on record."""

    request: PaymentRequest
    rail: str
    key: str
    sent_before: datetime | None


@dataclass(frozen=True, slots=True)
class NotNow:
    """A payout that is not to be sent now, and when to ask again; None: it is at rest."""

    state: PayoutState
    why: str
    again_after: timedelta | None = None


async def commit_attempt(
    connection: AsyncConnection, payout: UUID, now: datetime, keys: KeyRing, rails: frozenset[str]
) -> ToSend | NotNow:
    """Verifies everything that must hold before money moves and, if it does, puts the attempt on record.

    In one transaction that holds the referral's row: a fact that commits before this stops the payment, one that
    commits after it opens a clawback case.
    """
    found = (await connection.execute(_PAYOUT, {"id": payout})).one_or_none()
    if found is None:
        return NotNow(PayoutState.CANCELLED, "there is no such payout")
    row = await referrals.hold(connection, found.referral_id)
    found = (await connection.execute(_PAYOUT, {"id": payout})).one()
    state = PayoutState(found.state)
    if row is None or state in AT_REST:
        return NotNow(state, found.why or "nothing more to do")
    if body_hash(found.body) != found.body_hash:
        return await _stop(connection, found, now, "the stored request is not the one that was frozen")
    try:
        claim_legs = await _verify(connection, row, found, now, keys)
    except NotAuthorised as reason:
        return await _stop(connection, found, now, str(reason))
    if found.rail not in rails:
        return NotNow(state, f"the rail {found.rail} is not connected here", _ONCE_CONNECTED)
    if found.first_sent_at is None:
        if row.judged_version != row.facts_version or row.claim_version != row.facts_version:
            return NotNow(state, "facts arrived that were not judged yet", _SOON)
        if row.status not in (_S.APPROVED, _S.PAYING):
            return NotNow(state, f"the referral is {row.status}", _SOON)
        if row.status == _S.APPROVED and not await _still_the_same(connection, row, claim_legs, now):
            # Judged anew, the claim is another one: the referral's own judgement takes the approval back.
            await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, row.id, payout)
            return NotNow(state, "the claim changed since it was approved", _SOON)
        await connection.execute(_COMMIT_ATTEMPT, {"id": payout, "at": now})
        await referrals.write(connection, row, now, status=_S.PAYING.value)
    return ToSend(PaymentRequest.of(found.body), found.rail, found.provider_key, found.first_sent_at)


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
    if to not in AT_REST or await _all_at_rest(connection, found.referral_id):
        await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, found.referral_id, payout)
    return to


async def _verify(connection: AsyncConnection, row: Any, payout: Any, now: datetime, keys: KeyRing) -> "Verified":
    """The approved claim behind a payout.

    Nothing that a row says of itself is believed: the claim's digest is what the signatures are over, and what is
    paid is what that claim says.

    Raises:
        NotAuthorised: with the reason, in one sentence.
    """
    legs = (await connection.execute(_LEGS, {"id": payout.id})).all()
    if not legs:
        raise NotAuthorised("it pays no leg")
    claim_ids = {leg.claim_id for leg in legs}
    if claim_ids != {row.claim_id}:
        raise NotAuthorised("it pays another claim than the referral's current one")
    claim, _ = await claims.current(connection, row.claim_id)
    genuine, forged = await decisions.on_referral(connection, row.id, keys)
    await decisions.record_effect(connection, forged, "forged", now, "no signature that we believe")
    on_claim = [d for d in genuine if d.claim_id == row.claim_id]
    if ruling(claim.requirement, [d.signoff for d in on_claim], claim.digest) is not Ruling.APPROVED:
        raise NotAuthorised("no signed decision of enough people with the authority approves it")
    barred = (await connection.execute(_BARRED, {"names": [d.user for d in on_claim]})).scalars().all()
    if barred and payout.first_sent_at is None:
        raise NotAuthorised(f"{', '.join(barred)}, who decided on it, has been barred since")
    return Verified(claim, legs, payout)


@dataclass(frozen=True, slots=True)
class Verified:
    """An approved claim with the legs of it that a payout pays."""

    claim: Any
    legs: Sequence[Any]
    payout: Any


async def _still_the_same(connection: AsyncConnection, row: Any, approved: Verified, now: datetime) -> bool:
    """Whether the claim, judged anew on the facts, is still the one that was approved, and the payout pays its legs."""
    case: Case | None = await open_case(connection, row, now)
    if case is None:
        return False
    again, _ = await build_claim(connection, case, as_assembled(approved.claim))
    promised = {_terms_of(leg) for leg in again.legs}
    paid = {_terms_of(leg) for leg in approved.legs}
    total = sum(leg.amount_minor for leg in approved.legs)
    request = PaymentRequest.of(approved.payout.body)
    return (
        again.digest == approved.claim.digest
        and paid <= promised
        and {leg.beneficiary for leg in approved.legs} == {request.payee}
        and {leg.currency for leg in approved.legs} == {request.currency}
        and total == request.amount_minor == approved.payout.amount_minor
    )


def _terms_of(leg: Any) -> tuple[str | int | None, ...]:
    """What a leg promises, of a claim's or a row."""
    return (str(leg.role), leg.beneficiary, leg.amount_minor, leg.currency, leg.rail, leg.destination)


async def _stop(connection: AsyncConnection, payout: Any, now: datetime, why: str) -> NotNow:
    """Puts a payout before a person instead of paying it."""
    await connection.execute(
        _NOTE, {"id": payout.id, "state": PayoutState.MANUAL_REVIEW, "reference": None, "why": why, "at": now}
    )
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

_BARRED: Final = text("""
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

_LEGS_PAID: Final = text("""
UPDATE leg SET state = 'paid'
WHERE id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id AND live) AND state = 'reserved'
""")
