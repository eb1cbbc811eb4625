"""Save a payout's move with all that it entails, in one statement: its legs, the books, and whom it wakes.

The caller holds the rows of the payout and its referrals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.books.ledger import Deduction, DeductionKind
from referral_rewards.domain.clawbacks.states import REVERSAL_ENDED, ClawbackKind
from referral_rewards.domain.payouts.answering import COMES_BACK, Ending, Known, Moves, Shown
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import AT_REST, LegState, PaymentRequest, PayoutState
from referral_rewards.register import outbox
from referral_rewards.register.books import ledger
from referral_rewards.register.books.ledger import Settlement
from referral_rewards.register.clawbacks import offsets, returns
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payees import deductions, tax_holds


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What saving a payout's move needs beside its row, and what deciding on it needs (``known``).

    ``deductions`` are those that lower it, ``booked`` is what the books show under its current key, and ``moving`` are
    those of its referrals that have another payout not at rest.
    """

    known: Known
    deductions: tuple[Deduction, ...]
    booked: Settlement
    moving: frozenset[str]


async def surroundings(connection: AsyncConnection, payout: Payout, named: Sequence[str]) -> Surroundings:
    """Return the surroundings of a payout and of the referrals ``named``. The caller holds their rows."""
    keys = ledger.keys_of(payout.id, [payout.generation])
    row = (await connection.execute(_SURROUNDINGS, {"id": payout.id, "named": list(named), "keys": keys})).one()
    booked = ledger.Loaded.of(keys, row.posted)
    return Surroundings(
        Known(row.given_up, tuple(Shown(*each) for each in row.shown), row.paid_otherwise, int(row.ours_minor)),
        deductions.of(row.deductions),
        await ledger.settlement(connection, payout.id, payout.generation, booked),
        frozenset(row.moving),
    )


async def save(
    connection: AsyncConnection,
    payout: Payout,
    named: Sequence[str],
    moves: Moves,
    now: datetime,
    its: Surroundings,
    again_after: timedelta | None = None,
    *,
    wakes_others: bool = True,
) -> None:
    """Save a payout's next state and when its workflow next acts by itself, update its legs and the books, and wake its
    referrals (``named``) and its cycle.

    If it came to rest, a referral is woken only once all its payouts are at rest. Without ``wakes_others`` the caller
    wakes them.
    """
    at_rest = moves.to in AT_REST
    state = {"id": payout.id, "state": moves.to, "reference": moves.reference, "why": moves.why, "at": now}
    settled_at = now if moves.to is PayoutState.SETTLED else None
    due_at = now + again_after if again_after is not None else None
    legs_from, legs_to = _LEGS.get(moves.ending, (None, None))
    woken = [each for each in named if not at_rest or each not in its.moving]
    wakes = {"woken": woken if wakes_others else [], "cycle": payout.cycle_id if at_rest and wakes_others else None}
    follows = {"settled": settled_at, "due": due_at, "legs_from": legs_from, "legs_to": legs_to}
    await connection.execute(_SAVE, {**state, **follows, **wakes, **_posting(payout, moves.ending, its, now)})
    if moves.ending is Ending.PAID and any(each.kind is DeductionKind.OFFSET for each in its.deductions):
        await offsets.recovered(connection, payout.id, now)
    if moves.ending is Ending.OWED_AGAIN:
        # The legs stay with this payout, so nothing else pays them until a person decides.
        await offsets.given_back(connection, payout.id, now)


async def cancelled(connection: AsyncConnection, payout: Payout, now: datetime) -> None:
    """Cancel the legs, release their accruals, and free the payout's deductions. A return is owed no more."""
    if payout.returns is not None:
        await returns.drop(connection, payout, now)
    for leg in (await connection.execute(_CANCEL_LEGS, {"id": payout.id})).all():
        entry = books.released(str(leg.id), leg.program, leg.beneficiary, leg.amount_minor, leg.currency)
        await ledger.post(connection, entry, program=leg.program, referral=leg.referral_id, at=now)
    await connection.execute(_UNLINK, {"id": payout.id})
    await deductions.free(connection, payout.id)
    # It no longer counts towards the payee's year; legs on tax hold because of it may now be released.
    await tax_holds.wake(connection, {payout.payee})


async def is_given_up(connection: AsyncConnection, payout: UUID) -> bool:
    """Return whether the payout was sent and people then cancelled every reward that it was to pay."""
    return (await connection.execute(_IS_GIVEN_UP, {"id": payout})).one_or_none() is not None


def _posting(payout: Payout, ending: Ending | None, its: Surroundings, now: datetime) -> Mapping[str, object]:
    entry = None if ending is None else _entry(payout, ending, its)
    program = "" if entry is None else _program(payout)
    return ledger.values(entry, program=program, referral=payout.referral_id or "", at=now)


def _entry(payout: Payout, ending: Ending, its: Surroundings) -> books.Entry | None:
    """Return the entry of a payment or its return; None if the books already show it.

    The entry's key is numbered, because a returned payment may be paid again under the same key.
    """
    if (its.booked.stands is not None) is not (ending in COMES_BACK):
        return None
    entry = _OF_LOSS[ending](payout) if ending in _OF_LOSS else _OF_REWARD[ending](payout, its.deductions)
    return replace(entry, key=books.numbered(entry.key, its.booked.back + 1))


def _program(payout: Payout) -> str:
    return PaymentRequest.of(payout.body).program


def _settled(payout: Payout, deductions: Sequence[Deduction]) -> books.Entry:
    return books.settled(
        str(payout.id), payout.rail, payout.payee, payout.amount_minor, payout.currency,
        deductions=deductions, generation=payout.generation,
    )  # fmt: skip


def _returned(payout: Payout, deductions: Sequence[Deduction]) -> books.Entry:
    return books.returned(
        str(payout.id), payout.rail, payout.payee, payout.amount_minor, payout.currency,
        deductions=deductions, generation=payout.generation,
    )  # fmt: skip


def _lost(payout: Payout) -> books.Entry:
    return books.lost(
        str(payout.id), payout.rail, _program(payout), payout.amount_minor, payout.currency,
        generation=payout.generation,
    )  # fmt: skip


def _lost_no_more(payout: Payout) -> books.Entry:
    return books.lost_no_more(
        str(payout.id), payout.rail, _program(payout), payout.amount_minor, payout.currency,
        generation=payout.generation,
    )  # fmt: skip


_OF_REWARD: Final = {Ending.PAID: _settled, Ending.OWED_AGAIN: _returned}
_OF_LOSS: Final = {Ending.LOST: _lost, Ending.LOST_NO_MORE: _lost_no_more}

#: From which state to which the legs go that a payout pays.
_LEGS: Final[Mapping[Ending | None, tuple[LegState, LegState]]] = {
    Ending.PAID: (LegState.RESERVED, LegState.PAID),
    Ending.OWED_AGAIN: (LegState.PAID, LegState.RESERVED),
}

_SAVE: Final = text(f"""
WITH legs AS (
    UPDATE leg SET state = :legs_to
    WHERE id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id AND live) AND state = CAST(:legs_from AS text)
), {ledger.POSTING}, {outbox.wakeups_of_referrals(WakeupKind.PAYOUT_SETTLED, "CAST(:woken AS text[])", ":id")},
over AS ({cycles.WAKING_ONCE_OVER})
UPDATE payout SET state = :state, provider_reference = coalesce(:reference, provider_reference), why = :why,
                  settled_at = :settled, due_at = :due, updated_at = :at
WHERE id = :id
""")  # noqa: S608 (words of ours alone)

_CANCEL_LEGS: Final = statement(
    """
UPDATE leg SET state = :cancelled
WHERE id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id AND live) AND state = :reserved
RETURNING *
""",
    cancelled=LegState.CANCELLED,
    reserved=LegState.RESERVED,
)

_UNLINK: Final = text("UPDATE payout_leg SET live = false WHERE payout_id = :id AND live")

#: A condition on a payout `p`: it was sent, and pays nothing any more (`is_given_up`).
GIVEN_UP: Final = """
(p.first_sent_at IS NOT NULL AND CASE WHEN p.returns IS NOT NULL THEN p.dropped
    ELSE NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = p.id AND live OFFSET 0) END)
"""

_IS_GIVEN_UP: Final = text(f"SELECT 1 FROM payout p WHERE p.id = :id AND {GIVEN_UP}")  # noqa: S608 (ours)

#: A condition on a payout `p`: a person settled it as paid in another way (`Known.paid_otherwise`).
PAID_OTHERWISE: Final = """
EXISTS (SELECT 1 FROM decision d JOIN decision_effect e ON e.decision_id = d.id AND e.effect = 'applied'
        WHERE d.claim_id = p.id AND d.kind = 'settle_payout' AND d.reason <> 'found_at_provider')
"""

_SURROUNDINGS: Final = text(
    spelled(
        f"""
SELECT {GIVEN_UP} AS given_up, {PAID_OTHERWISE} AS paid_otherwise, {ledger.POSTED} AS posted, (
    SELECT coalesce(json_agg(json_build_array(reference, why)), '[]') FROM payout_step
    WHERE payout_id = p.id AND state = :in_review
) AS shown, (
    SELECT coalesce(sum(CASE WHEN state IN :ended THEN recovered_minor ELSE amount_minor END), 0)
    FROM clawback WHERE payout_id = p.id AND kind = :reverse AND first_sent_at IS NOT NULL
) AS ours_minor, {deductions.LIVE} AS deductions, ARRAY(
    SELECT DISTINCT l.referral_id FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout o ON o.id = pl.payout_id
    WHERE l.referral_id = ANY(CAST(:named AS text[])) AND pl.live AND o.id <> p.id AND o.state NOT IN :at_rest
) AS moving
FROM payout p WHERE p.id = :id
""",  # noqa: S608 (conditions of ours alone)
        in_review=PayoutState.MANUAL_REVIEW,
        ended=REVERSAL_ENDED,
        reverse=ClawbackKind.REVERSE,
        at_rest=AT_REST,
    )
)
