"""Record what a rail's answer comes to: move the payout forward, book it, and wake its referrals."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.payouts.answering import Moves, Remarks, Said, follows
from referral_rewards.domain.payouts.hearing import Heard, Hearing, NotShown, Outcome, ShutOut, after_a_miss
from referral_rewards.domain.payouts.moving import NotNow, ToSend, refused_us
from referral_rewards.domain.payouts.states import AT_REST, IN_DOUBT, PaymentRequest, PayoutState
from referral_rewards.register import payout_history, rail_halts
from referral_rewards.register.payouts import endings
from referral_rewards.register.payouts import rows as payout_rows

_P = PayoutState
#: The state that each outcome leads to.
STATES: Final[Mapping[Outcome, PayoutState]] = {
    Outcome.DONE: _P.SETTLED,
    Outcome.UNDER_WAY: _P.ACCEPTED,
    Outcome.REFUSED: _P.REFUSED,
    Outcome.UNFUNDED: _P.WAITING_FUNDS,
    Outcome.UNKNOWN: _P.UNKNOWN,
    Outcome.DIFFERS: _P.MANUAL_REVIEW,
    Outcome.RETURNED: _P.RETURNED,
}


async def record(
    connection: AsyncConnection,
    payout: UUID,
    step: ToSend[PaymentRequest],
    hearing: Hearing,
    now: datetime,
    *,
    asks_again_after: timedelta,
    once: bool,
) -> NotNow:
    """Record what became of an attempt, and return the state afterwards.

    A rail that shut us out is asked again after ``asks_again_after``. With ``once`` a payment that the rail does not
    show goes to a person at the first look-up.
    """
    match hearing:
        case Heard() as heard:
            to = STATES[heard.outcome]
            state = await note(
                connection, payout, to, now, reference=heard.reference, why=heard.why, generation=step.generation,
                again_after=heard.again_after,
            )  # fmt: skip
            became = NotNow(state, heard.why or "", None if state in AT_REST else heard.again_after)
        case ShutOut(why):
            became = await _shut_out(connection, payout, step, now, why, asks_again_after)
        case NotShown():
            became = await _missed(connection, payout, step, now, once=once)
    await rail_halts.heard(connection, step, hearing, now)
    return became


async def note(
    connection: AsyncConnection,
    payout: UUID,
    to: PayoutState,
    now: datetime,
    *,
    reference: str | None,
    why: str | None,
    generation: int | None = None,
    again_after: timedelta | None = None,
) -> PayoutState:
    """Record an answer that leads to the state ``to``, with what `follows` from it, and return the state afterwards.

    ``generation`` is that of the key which was asked about; None: whichever is current.
    """
    held = await payout_rows.hold(connection, payout)
    its = await endings.surroundings(connection, held.payout, held.named)
    match follows(held.payout, Said(to, reference, why, generation), its.known):
        case Remarks(remark):
            await payout_rows.remark(connection, held.payout, remark, now, again_after)
        case Moves() as moves:
            await endings.save(connection, held.payout, held.named, moves, now, its, again_after)
            return moves.to
    return held.payout.state


async def _missed(
    connection: AsyncConnection, payout: UUID, step: ToSend[PaymentRequest], now: datetime, *, once: bool
) -> NotNow:
    """Record that the rail shows no attempt although one may have been sent and must not be repeated."""
    held = await payout_rows.hold(connection, payout)
    state = held.payout.state
    if held.payout.generation != step.generation or state not in IN_DOUBT:
        return NotNow(state, held.payout.why or "it moved meanwhile")
    heard = after_a_miss(held.payout, now, once=once)
    to, left = STATES[heard.outcome], heard.again_after
    await connection.execute(_MISSED, {"id": payout, "at": now})
    if to is state:
        await payout_rows.remark(connection, held.payout, heard.why, now, left)
    else:
        its = await endings.surroundings(connection, held.payout, held.named)
        await endings.save(connection, held.payout, held.named, Moves(to, heard.why), now, its, left)
    return NotNow(to, heard.why or "", left)


async def _shut_out(
    connection: AsyncConnection,
    payout: UUID,
    step: ToSend[PaymentRequest],
    now: datetime,
    why: str,
    again_after: timedelta,
) -> NotNow:
    """Keep a payout as it is. If no other attempt used the key, it counts as unused again."""
    held = await payout_rows.hold(connection, payout)
    if step.key_used_at is None and await payout_history.newest(connection, payout) == step.step:
        await connection.execute(_KEY_UNUSED, {"id": payout})
        await payout_history.append(connection, payout, step.generation, now, payout_history.SHUT_OUT)
    said = refused_us(step.rail, why)
    await payout_rows.remark(connection, held.payout, said, now, again_after)
    return NotNow(held.payout.state, said, again_after)


_MISSED: Final = text("UPDATE payout SET missed_at = coalesce(missed_at, :at) WHERE id = :id")

_KEY_UNUSED: Final = text("UPDATE payout SET key_used_at = NULL WHERE id = :id")
