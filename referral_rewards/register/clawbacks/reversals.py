"""Load what a reversal at its provider depends on, under its locks, and save what was decided.

`domain.clawbacks.reversing` decides. As with a payout, the attempt is recorded before the call, and the outcome is
booked once.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.clawbacks import reversing
from referral_rewards.domain.clawbacks.clawback import Clawback
from referral_rewards.domain.clawbacks.reversing import Change, Dossier, Ends, Remarks, Reversed, Sends, Waits
from referral_rewards.domain.clawbacks.states import TRANSITIONS, CaseState, ClawbackState
from referral_rewards.domain.payouts.advice import SOON
from referral_rewards.domain.payouts.hearing import Hearing
from referral_rewards.domain.payouts.moving import Halt, NotNow, Reversal, ToSend
from referral_rewards.domain.payouts.states import Paid, PaymentRequest, PayoutState, TakenBack
from referral_rewards.domain.payouts.taking_back import AccountedFor
from referral_rewards.register import outbox, rail_halts, typed_rows
from referral_rewards.register.books import ledger
from referral_rewards.register.clawbacks import authority, forgotten
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import rows as referrals

_S = ClawbackState
_NO_KEYS: Final = KeyRing.of([])


async def commit_attempt(
    connection: AsyncConnection, clawback: UUID, now: datetime, keys: KeyRing, rails: frozenset[str]
) -> ToSend[Reversal] | NotNow:
    """Verify the decision and the payment that it reverses, then record the attempt.

    Returns `NotNow` if the reversal must not be sent, or not yet.
    """
    its = await _load(connection, clawback, keys, rails)
    if its is None:
        return NotNow(_S.UNRECOVERABLE, "there is no such clawback")
    change = reversing.decide(its, now)
    if isinstance(change, Sends) and change.probes:
        # Only one attempt probes a halted rail: whoever holds its row looks at it anew.
        its = replace(its, halt=await rail_halts.hold(connection, its.payment.rail))
        change = reversing.decide(its, now)
    if not isinstance(change, Sends):
        return await _save(connection, its, change, now)
    if change.probes:
        await rail_halts.probed(connection, its.payment.rail, now)
    await connection.execute(_COMMIT_ATTEMPT, {"id": clawback, "at": now})
    return _to_send(its, change)


async def record(
    connection: AsyncConnection,
    clawback: UUID,
    step: ToSend[Reversal],
    hearing: Hearing,
    now: datetime,
    *,
    asks_again_after: timedelta,
) -> NotNow:
    """Record what became of an attempt, and return the state afterwards.

    A rail that shut us out is asked again after ``asks_again_after``.
    """
    its = await _load(connection, clawback)
    assert its is not None
    change = reversing.follows(its.clawback, step.rail, hearing, now, asks_again_after)
    if isinstance(change, Ends) and change.adopts is not None:
        change = await _adopted(connection, its, change, change.adopts, now)
    became = await _save(connection, its, change, now)
    await rail_halts.heard(connection, step, hearing, now)
    return became


async def found_by_a_person(connection: AsyncConnection, case: UUID, now: datetime, *, reference: str | None) -> None:
    """End the case's oldest clawback in review as a person found it at the provider.

    With a ``reference`` it was reversed under that reference; without, it was not. The caller has recorded the
    decision.
    """
    clawback = (await connection.execute(_IN_REVIEW, {"case": case})).scalar_one()
    its = await _load(connection, clawback)
    assert its is not None
    await _save(connection, its, reversing.found_by_a_person(its.clawback, reference), now)


async def rail_of(connection: AsyncConnection, clawback: UUID) -> str | None:
    """Return the rail of the payment, which also reverses it; None if there is no such clawback."""
    return (await connection.execute(_RAIL, {"id": clawback})).scalar_one_or_none()


def _to_send(its: Dossier, change: Sends) -> ToSend[Reversal]:
    request = PaymentRequest.of(its.payment.body)
    paid = Paid(its.payment.provider_reference or "", request.amount_minor, request.currency, request.destination)
    return ToSend(
        request=Reversal(request, paid, its.clawback.amount_minor, its.others),
        rail=its.payment.rail,
        key=its.clawback.provider_key,
        key_used_at=its.clawback.key_used_at,
        may_resend=True,
        looks_first=change.looks_first,
        probes=change.probes,
    )


async def _load(
    connection: AsyncConnection, clawback: UUID, keys: KeyRing = _NO_KEYS, rails: frozenset[str] = frozenset()
) -> Dossier | None:
    """Lock the referral and the clawback, and return what it depends on; None if there is no such clawback.

    What was sent needs no decision any more: without ``keys`` none verifies.
    """
    await referrals.hold_found(connection, _HOLD_REFERRAL, clawback)
    found = await typed_rows.read_one(connection, Clawback, _HOLD, {"id": clawback})
    if found is None:
        return None
    taken, owed = books.recovered_key(str(found.id)), books.claimed_back_key(str(found.id))
    about = {"leg": found.leg_id, "payout": found.payout_id, "case": found.case_id, "keys": [taken, owed]}
    about["clawback"] = found.id
    row = (await connection.execute(_GROUNDS, about)).one()
    made, _ = chain.verified(row.made, keys)
    posted = {key for key, *_ in row.posted}
    payment = typed_rows.of(Reversed, row)
    return Dossier(
        clawback=found,
        payment=payment,
        program=row.program,
        decided=authority.deciding(found, made) is not None,
        booked=taken in posted,
        claimed=owed in posted,
        halt=_HALT.validate_python(row.halt),
        connected=payment.rail in rails,
        others=_OTHERS.validate_python(row.others),
    )


async def _save(connection: AsyncConnection, its: Dossier, change: Change, now: datetime) -> NotNow:
    match change:
        case Waits(why, again_after):
            return NotNow(its.clawback.state, why, again_after)
        case Remarks(to, why, again_after, missed):
            said = {"id": its.clawback.id, "state": to, "why": why, "at": now, "missed": now if missed else None}
            await connection.execute(_REMARK, said)
            if to is _S.MANUAL_REVIEW:
                await _tell(connection, its)
            return NotNow(to, why, again_after)
        case Ends():
            await _end(connection, its, change, now)
            return NotNow(change.to, change.why or "")


async def _end(connection: AsyncConnection, its: Dossier, end: Ends, now: datetime) -> None:
    """Move a clawback to a final state, and book the recovered amount and the dropped rest."""
    found = its.clawback
    assert end.to in TRANSITIONS[found.state], (found.state, end.to)
    asked = {"id": found.id, "state": end.to, "why": end.why, "reference": end.reference, "at": now}
    await connection.execute(_END, {**asked, "recovered": end.recovered_minor})
    name = str(found.id)
    if end.recovered_minor:
        entry = books.recovered(name, its.payment.rail, found.payee, end.recovered_minor, found.currency)
        await _post(connection, its, entry, now)
    if dropped_minor := found.amount_minor - end.recovered_minor:
        if its.claimed:
            entry = books.claim_dropped(name, its.program, found.payee, dropped_minor, found.currency)
            await _post(connection, its, entry, now)
        await connection.execute(_REOPEN_CASE, {"case": found.case_id})
    await _tell(connection, its)


async def _adopted(connection: AsyncConnection, its: Dossier, end: Ends, found: TakenBack, now: datetime) -> Change:
    """Return the end of a clawback that adopts what was taken back before, or that it is tried again: another one
    adopted it meanwhile."""
    payout, rail = its.clawback.payout_id, its.payment.rail
    if await forgotten.adopt(connection, payout, rail, found, end.recovered_minor, now):
        return end
    return Remarks(_S.UNKNOWN, "what was taken back before was counted for another clawback meanwhile", SOON)


async def _post(connection: AsyncConnection, its: Dossier, entry: books.Entry, now: datetime) -> None:
    await ledger.post(connection, entry, program=its.program, referral=its.clawback.referral_id, at=now)


async def _tell(connection: AsyncConnection, its: Dossier) -> None:
    """Have the referral judged again: its legs, its case and its queue entries may have changed."""
    await outbox.enqueue(connection, WakeupKind.PAYOUT_SETTLED, its.clawback.referral_id, its.clawback.payout_id)


_HALT: Final = TypeAdapter(Halt | None)
_OTHERS: Final = TypeAdapter(tuple[AccountedFor, ...])

_RAIL: Final = text("SELECT p.rail FROM clawback b JOIN payout p ON p.id = b.payout_id WHERE b.id = :id")

_HOLD_REFERRAL: Final = text("""
SELECT id FROM referral WHERE id IN (SELECT referral_id FROM clawback WHERE id = :id) ORDER BY id FOR UPDATE
""")

_HOLD: Final = text("SELECT * FROM clawback WHERE id = :id FOR UPDATE")

_GROUNDS: Final = statement(
    f"""
SELECT p.rail, p.state, p.body, p.provider_reference, l.state AS leg_state, l.program, {ledger.POSTED} AS posted,
       {forgotten.OTHERS} AS others, ARRAY(
    SELECT DISTINCT s.reference FROM payout_step s
    WHERE s.payout_id = p.id AND s.generation = p.generation AND s.state = :settled AND s.reference IS NOT NULL
) AS settled_as, (
    SELECT to_json(halt) FROM ({rail_halts.HALTS} WHERE rail = p.rail) AS halt
) AS halt, (
    SELECT coalesce(json_agg(linked ORDER BY linked.seq), '[]') FROM ({chain.LINKED} WHERE d.claim_id = :case) AS linked
) AS made
FROM payout p CROSS JOIN leg l WHERE p.id = :payout AND l.id = :leg
""",  # noqa: S608 (queries of ours alone)
    settled=PayoutState.SETTLED,
)

_COMMIT_ATTEMPT: Final = statement(
    """
UPDATE clawback SET first_sent_at = coalesce(first_sent_at, :at), updated_at = :at,
                    state = CASE WHEN state = :approved THEN :reversing ELSE state END
WHERE id = :id
""",
    approved=_S.APPROVED,
    reversing=_S.REVERSING,
)

_REMARK: Final = text("""
UPDATE clawback SET state = :state, why = :why, updated_at = :at,
                    missed_at = coalesce(missed_at, CAST(:missed AS timestamptz))
WHERE id = :id
""")

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
