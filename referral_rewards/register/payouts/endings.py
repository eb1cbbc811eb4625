"""Update the legs and the books when a payout ends: settled, returned by the provider, or cancelled.

The caller holds the rows of the payout and its referrals, and writes the state in the same transaction.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.clawbacks.states import REVERSAL_ENDED, ClawbackKind
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.register.books import ledger
from referral_rewards.register.clawbacks import offsets
from referral_rewards.register.payees import deductions, tax_holds


async def settled(connection: AsyncConnection, payout: Any, now: datetime, *, given_up: bool) -> None:
    """Mark the legs as paid and book the settlement. A payout ``given_up`` (`is_given_up`) is booked as a loss."""
    if given_up:
        await _post(connection, payout, _loss(books.lost, payout), now, back=False)
        return
    await connection.execute(_LEGS_PAID, {"id": payout.id})
    lowered_by = await deductions.of_payout(connection, payout.id)
    entry = books.settled(
        str(payout.id), payout.rail, payout.payee, payout.amount_minor, payout.currency,
        deductions=lowered_by, generation=payout.generation,
    )  # fmt: skip
    await _post(connection, payout, entry, now, back=False)
    if any(each.kind is DeductionKind.OFFSET for each in lowered_by):
        await offsets.recovered(connection, payout.id, now)


async def returned(connection: AsyncConnection, payout: Any, now: datetime, *, given_up: bool) -> None:
    """Mark the legs as owed again. They stay with this payout, so nothing else pays them until a person decides."""
    if given_up:
        await _post(connection, payout, _loss(books.lost_no_more, payout), now, back=True)
        return
    await connection.execute(_LEGS_OWED, {"id": payout.id})
    entry = books.returned(
        str(payout.id), payout.rail, payout.payee, payout.amount_minor, payout.currency,
        deductions=await deductions.of_payout(connection, payout.id), generation=payout.generation,
    )  # fmt: skip
    await _post(connection, payout, entry, now, back=True)
    await offsets.given_back(connection, payout.id, now)


async def cancelled(connection: AsyncConnection, payout: Any, now: datetime) -> None:
    """Cancel the legs, release their accruals, and free the payout's deductions."""
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


async def taken_back_by_us(connection: AsyncConnection, payout: UUID) -> int:
    """Return how much our own reversals took back at the provider, or may have, in minor units; that is no bounce."""
    return int((await connection.execute(_REVERSED, {"id": payout})).scalar_one())


async def paid_otherwise(connection: AsyncConnection, payout: UUID) -> bool:
    """Return whether a person settled the payout as paid in another way than under its key.

    What the provider shows for that key then says nothing about the payment.
    """
    return (await connection.execute(_OTHERWISE, {"id": payout})).one_or_none() is not None


def _loss(entry_of: Callable[..., books.Entry], payout: Any) -> books.Entry:
    return entry_of(
        str(payout.id), payout.rail, payout.body["program"], payout.amount_minor, payout.currency,
        generation=payout.generation,
    )  # fmt: skip


async def _post(connection: AsyncConnection, payout: Any, entry: books.Entry, now: datetime, *, back: bool) -> None:
    """Post a payment or its return (``back``), unless the books already show it.

    The entry's key is numbered, because a returned payment may be paid again under the same key.
    """
    booked = await ledger.settlement(connection, payout.id, payout.generation)
    if (booked.stands is not None) is back:
        its = replace(entry, key=books.numbered(entry.key, booked.back + 1))
        await ledger.post(connection, its, program=payout.body["program"], referral=payout.referral_id or "", at=now)


_LEGS_PAID: Final = statement(
    """
UPDATE leg SET state = :paid
WHERE id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id AND live) AND state = :reserved
""",
    paid=LegState.PAID,
    reserved=LegState.RESERVED,
)

_LEGS_OWED: Final = statement(
    """
UPDATE leg SET state = :reserved
WHERE id IN (SELECT leg_id FROM payout_leg WHERE payout_id = :id AND live) AND state = :paid
""",
    paid=LegState.PAID,
    reserved=LegState.RESERVED,
)

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

_REVERSED: Final = statement(
    """
SELECT coalesce(sum(CASE WHEN state = ANY(:ended) THEN recovered_minor
                         ELSE amount_minor END), 0)
FROM clawback WHERE payout_id = :id AND kind = :reverse AND first_sent_at IS NOT NULL
""",
    ended=REVERSAL_ENDED,
    reverse=ClawbackKind.REVERSE,
)

#: A condition on a payout `p`: it was sent, and pays nothing any more (`is_given_up`).
GIVEN_UP: Final = """
(p.first_sent_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = p.id AND live OFFSET 0))
"""

_IS_GIVEN_UP: Final = text(f"SELECT 1 FROM payout p WHERE p.id = :id AND {GIVEN_UP}")  # noqa: S608 (ours)

#: A condition on a payout `p`: a person settled it (`paid_otherwise`).
PAID_OTHERWISE: Final = """
EXISTS (SELECT 1 FROM decision d JOIN decision_effect e ON e.decision_id = d.id AND e.effect = 'applied'
        WHERE d.claim_id = p.id AND d.kind = 'settle_payout' AND d.reason <> 'found_at_provider')
"""

_OTHERWISE: Final = text(f"SELECT 1 FROM payout p WHERE p.id = :id AND {PAID_OTHERWISE}")  # noqa: S608 (ours)
