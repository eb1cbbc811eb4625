"""Reversals: verify and commit an attempt before the provider is called, and record its outcome afterwards.

As with a payout, the attempt is recorded before the call, an attempt that may have been sent is looked up before the
same key is sent again, and the outcome is booked once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain import money
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.clawbacks.states import (
    TRANSITIONS,
    UNDER_WAY,
    CaseState,
    ClawbackKind,
    ClawbackState,
    clawback_id,
)
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct
from referral_rewards.domain.labels import label
from referral_rewards.domain.payouts.states import WAS_PAID, Paid, PaymentRequest, PayoutState, body_hash, provider_key
from referral_rewards.register import outbox, payout_history, rail_halts
from referral_rewards.register.books import ledger
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import rows as referrals

_S = ClawbackState
#: How long to wait for a rail that is not connected: connecting one may need a person.
_ONCE_CONNECTED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ToReverse:
    """A reversal that may be sent: the amount, the payment, and since when the rail may know the key.

    ``probes``: it is the probe of a halted rail.
    """

    request: PaymentRequest
    paid: Paid
    amount_minor: int
    rail: str
    key: str
    sent_before: datetime | None
    probes: bool = False


@dataclass(frozen=True, slots=True)
class NotNow:
    """A clawback that is not to be sent now, and when to try again; None: it is at rest."""

    state: ClawbackState
    why: str
    again_after: timedelta | None = None


async def commit_attempt(
    connection: AsyncConnection, clawback: UUID, now: datetime, keys: KeyRing, rails: frozenset[str]
) -> ToReverse | NotNow:
    """Verify the decision and the payment that it reverses, then record the attempt.

    Returns `NotNow` if the reversal must not be sent, or not yet.
    """
    found = await _held(connection, clawback)
    if found is None:
        return NotNow(_S.UNRECOVERABLE, "there is no such clawback")
    state = ClawbackState(found.state)
    if state not in UNDER_WAY:
        return NotNow(state, found.why or "nothing more to do")
    if (why := await _flaw(connection, found, keys)) is not None:
        return await _stop(connection, found, now, why)
    if found.leg_state not in WAS_PAID or found.payout_state != PayoutState.SETTLED:
        if found.first_sent_at is None:
            return await _end(connection, found, _S.UNRECOVERABLE, now, why="its payment came back by itself")
        return await _stop(connection, found, now, "its payment came back while it was being taken back")
    if found.rail not in rails:
        return NotNow(state, f"{label('rail', found.rail)} is not connected", _ONCE_CONNECTED)
    halt = await rail_halts.of(connection, found.rail)
    if halt is not None and (waits_for_rail := await rail_halts.take_probe(connection, found.rail, now)) is not None:
        return NotNow(state, waits_for_rail[1], waits_for_rail[0])
    await connection.execute(_COMMIT_ATTEMPT, {"id": clawback, "at": now})
    request = PaymentRequest.of(found.payout_body)
    paid = Paid(found.provider_reference_of_payout, request.amount_minor, request.currency, request.destination)
    since = found.first_sent_at
    return ToReverse(request, paid, found.amount_minor, found.rail, found.provider_key, since, halt is not None)


async def rail_of(connection: AsyncConnection, clawback: UUID) -> str | None:
    """Return the rail of the payment, which also reverses it; None if there is no such clawback."""
    return (await connection.execute(_RAIL, {"id": clawback})).scalar_one_or_none()


async def reversed_by(
    connection: AsyncConnection,
    clawback: UUID,
    now: datetime,
    *,
    reference: str,
    amount_minor: int | None,
    currency: str,
) -> NotNow:
    """Record the amount that the rail took back. If it is only a part, the rest is dropped and decided again."""
    found = await _held(connection, clawback)
    assert found is not None
    if ClawbackState(found.state) not in UNDER_WAY:
        return NotNow(ClawbackState(found.state), found.why or "")
    if amount_minor is None or currency != found.currency or not 0 < amount_minor <= found.amount_minor:
        shown = money.display(amount_minor, currency)
        return await _stop(
            connection, found, now, f"the rail shows {shown} taken back under our key, not what was asked"
        )
    if amount_minor == found.amount_minor:
        return await _end(connection, found, _S.REVERSED, now, reference=reference, recovered_minor=amount_minor)
    why = f"the rail took back {money.display(amount_minor, currency)} of it"
    return await _end(
        connection, found, _S.PARTLY_REVERSED, now, reference=reference, recovered_minor=amount_minor, why=why
    )


async def declined(connection: AsyncConnection, clawback: UUID, now: datetime, why: str) -> NotNow:
    """Record that the rail refuses the reversal: the claim is dropped and the case waits for a person again."""
    found = await _held(connection, clawback)
    assert found is not None
    if ClawbackState(found.state) not in UNDER_WAY:
        return NotNow(ClawbackState(found.state), found.why or "")
    return await _end(connection, found, _S.UNRECOVERABLE, now, why=why)


async def unknown(
    connection: AsyncConnection, clawback: UUID, now: datetime, why: str, again_after: timedelta
) -> NotNow:
    """Record that the outcome is unknown."""
    found = await _held(connection, clawback)
    assert found is not None
    if ClawbackState(found.state) in UNDER_WAY:
        await connection.execute(_REMARK, {"id": clawback, "state": _S.UNKNOWN, "why": why, "at": now})
        return NotNow(_S.UNKNOWN, why, again_after)
    return NotNow(ClawbackState(found.state), found.why or "")


async def missed(connection: AsyncConnection, clawback: UUID, now: datetime, spacing: timedelta) -> NotNow:
    """Record that the rail shows no attempt although one may have been sent and must not be repeated.

    It is looked up once more after ``spacing``, and then goes to a person for review.
    """
    found = await _held(connection, clawback)
    assert found is not None
    if ClawbackState(found.state) not in UNDER_WAY:
        return NotNow(ClawbackState(found.state), found.why or "")
    why = "an earlier attempt is on record, the rail shows none, and it is not safe to send it again"
    if found.missed_at is None or now - found.missed_at < spacing:
        await connection.execute(_MISSED, {"id": clawback, "why": why, "at": now})
        return NotNow(_S.UNKNOWN, why, spacing if found.missed_at is None else found.missed_at + spacing - now)
    return await _stop(connection, found, now, why)


async def shut_out(
    connection: AsyncConnection, clawback: UUID, rail: str, now: datetime, why: str, again_after: timedelta
) -> NotNow:
    """Halt the rail that rejected our credentials; the clawback keeps its state."""
    found = await _held(connection, clawback)
    assert found is not None
    await rail_halts.halt(connection, rail, why, now)
    why = f"{label('rail', rail)} refused our credentials: {why}"
    await connection.execute(_REMARK, {"id": clawback, "state": found.state, "why": why, "at": now})
    return NotNow(ClawbackState(found.state), why, again_after)


async def found_by_a_person(connection: AsyncConnection, case: UUID, now: datetime, *, reference: str | None) -> None:
    """End the case's oldest clawback in review as a person found it at the provider.

    With a ``reference`` it was reversed under that reference; without, it was not. The caller has recorded the
    decision.
    """
    clawback = (await connection.execute(_IN_REVIEW, {"case": case})).scalar_one()
    found = await _held(connection, clawback)
    if reference is None:
        await _end(connection, found, _S.UNRECOVERABLE, now, why="a person found that it was not taken back")
    else:
        taken_minor = found.amount_minor  # type: ignore[union-attr]
        await _end(connection, found, _S.REVERSED, now, reference=reference, recovered_minor=taken_minor)


async def _held(connection: AsyncConnection, clawback: UUID) -> Any | None:
    """Return the clawback with its leg and payout, under the locks of the referral's row and its own."""
    referral = (await connection.execute(_REFERRAL, {"id": clawback})).scalar_one_or_none()
    if referral is None:
        return None
    await referrals.hold(connection, referral)
    return (await connection.execute(_HOLD, {"id": clawback})).one()


async def _flaw(connection: AsyncConnection, found: Any, keys: KeyRing) -> str | None:
    """Return in one sentence why it must not be sent; None if it may be. Nothing that its own row says is trusted."""
    if body_hash(found.body) != found.body_hash:
        return "the stored request is not the one that was frozen"
    if found.provider_key != provider_key(found.id, found.generation) or found.generation != 1:
        return "the stored key is not its own"
    if (found.body["pays_back"], found.body["amount_minor"]) != (found.payout_body, found.amount_minor):
        return "it is not of the payment that was made"
    settled_as = await payout_history.reference_it_settled_under(connection, found.payout_id, found.payout_generation)
    if not settled_as or {settled_as} != {found.provider_reference_of_payout, found.body["reference"]}:
        # With another reference a different payment would be reversed.
        return "its payment did not settle under the reference by which it would be taken back"
    if await decided(connection, found, keys) is None:
        return "no signed decision of somebody with the authority takes it back"
    if await ledger.find(connection, books.recovered(str(found.id), found.rail, found.payee, 1, found.currency).key):
        # The books are append-only; the row can only have been changed by hand.
        return "the books show that it was taken back already"
    return None


async def _end(
    connection: AsyncConnection,
    found: Any,
    to: ClawbackState,
    now: datetime,
    *,
    why: str | None = None,
    reference: str | None = None,
    recovered_minor: int = 0,
) -> NotNow:
    """Move a clawback to a final state, and book the recovered amount and the dropped rest."""
    state = ClawbackState(found.state)
    assert to in TRANSITIONS[state], (state, to)
    asked = {"id": found.id, "state": to, "why": why, "reference": reference, "recovered": recovered_minor, "at": now}
    await connection.execute(_END, asked)
    name, about = str(found.id), (found.payee, recovered_minor, found.currency)
    if recovered_minor:
        await _post(connection, found, books.recovered(name, found.rail, *about), now)
    if dropped_minor := found.amount_minor - recovered_minor:
        claim = (name, found.program, found.payee, dropped_minor, found.currency)
        if await ledger.find(connection, books.claimed_back(*claim).key):
            await _post(connection, found, books.claim_dropped(*claim), now)
        await connection.execute(_REOPEN_CASE, {"case": found.case_id})
    await _tell(connection, found)
    return NotNow(to, why or "")


async def _stop(connection: AsyncConnection, found: Any, now: datetime, why: str) -> NotNow:
    """Put it into review: a person must find out its outcome at the provider."""
    await connection.execute(_REMARK, {"id": found.id, "state": _S.MANUAL_REVIEW, "why": why, "at": now})
    await _tell(connection, found)
    return NotNow(_S.MANUAL_REVIEW, why)


async def _post(connection: AsyncConnection, found: Any, entry: books.Entry, now: datetime) -> None:
    await ledger.post(connection, entry, program=found.program, referral=found.referral_id, at=now)


async def _tell(connection: AsyncConnection, found: Any) -> None:
    """Have the referral judged again: its legs, its case and its queue entries may have changed."""
    await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, found.referral_id, found.payout_id)


_RAIL: Final = text("SELECT p.rail FROM clawback b JOIN payout p ON p.id = b.payout_id WHERE b.id = :id")

_REFERRAL: Final = text("SELECT referral_id FROM clawback WHERE id = :id")

_HOLD: Final = text("""
SELECT b.*, l.program, l.state AS leg_state, p.rail, p.state AS payout_state, p.body AS payout_body,
       p.provider_reference AS provider_reference_of_payout, p.generation AS payout_generation
FROM clawback b JOIN leg l ON l.id = b.leg_id JOIN payout p ON p.id = b.payout_id
WHERE b.id = :id FOR UPDATE OF b
""")

_COMMIT_ATTEMPT: Final = statement(
    """
UPDATE clawback SET first_sent_at = coalesce(first_sent_at, :at), updated_at = :at,
                    state = CASE WHEN state = :approved THEN :reversing ELSE state END
WHERE id = :id
""",
    approved=_S.APPROVED,
    reversing=_S.REVERSING,
)

_REMARK: Final = text("UPDATE clawback SET state = :state, why = :why, updated_at = :at WHERE id = :id")

_MISSED: Final = statement(
    """
UPDATE clawback SET state = :unknown, why = :why, updated_at = :at, missed_at = coalesce(missed_at, :at) WHERE id = :id
""",
    unknown=_S.UNKNOWN,
)

_END: Final = text("""
UPDATE clawback SET state = :state, why = :why, updated_at = :at, recovered_minor = :recovered,
                    provider_reference = coalesce(:reference, provider_reference)
WHERE id = :id
""")

_REOPEN_CASE: Final = statement(
    """
UPDATE clawback_case SET state = :open, settled_at = NULL WHERE id = :case AND state = :decided
""",
    open=CaseState.OPEN,
    decided=CaseState.DECIDED,
)

_IN_REVIEW: Final = statement(
    """
SELECT id FROM clawback WHERE case_id = :case AND state = :in_review ORDER BY created_at, id LIMIT 1
""",
    in_review=_S.MANUAL_REVIEW,
)


#: The kind of clawback that each decision creates.
KINDS: Final = {
    MoneyAct.REVERSE_CLAWBACK: ClawbackKind.REVERSE,
    MoneyAct.OFFSET_CLAWBACK: ClawbackKind.OFFSET,
    MoneyAct.WRITE_OFF_CLAWBACK: ClawbackKind.WRITE_OFF,
}


async def decided(connection: AsyncConnection, clawback: Any, keys: KeyRing) -> Decision | None:
    """Return the verified decision that created the clawback in this row; None if none matches it."""
    if clawback.id is None:
        return None
    made = await decisions.on_subject(connection, clawback.case_id, keys)
    return next((decision for decision in made if begets(decision, clawback)), None)


def begets(decision: Decision, clawback: Any) -> bool:
    """Return whether the clawback is exactly the one that this decision orders, by a user with the role for it."""
    if decision.id != clawback.decision_id or clawback.id != clawback_id(decision.id):
        return False
    if not isinstance(decision.kind, MoneyAct) or not decision.roles & ROLES[decision.kind]:
        return False
    amount_minor = (decision.details or {}).get("amount_minor")
    return (KINDS.get(decision.kind), amount_minor) == (clawback.kind, clawback.amount_minor)
