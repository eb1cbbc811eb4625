"""Record a rail's answer: move the payout forward, book it, and wake its referrals."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.labels import label
from referral_rewards.domain.payouts.advice import until_the_second_look
from referral_rewards.domain.payouts.answering import Moves, Remarks, Said, follows
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import payout_history, rail_halts
from referral_rewards.register.payouts import endings
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts.sending import NotNow, ToSend

_P = PayoutState


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


async def missed(connection: AsyncConnection, payout: UUID, step: ToSend, now: datetime, *, once: bool) -> NotNow:
    """Record that the rail shows no attempt although one may have been sent and must not be repeated.

    It is looked up once more after a pause, and then goes to a person for review; with ``once`` at the first time.
    """
    held = await payout_rows.hold(connection, payout)
    state = PayoutState(held.payout.state)
    if held.payout.generation != step.generation or state not in (_P.SENDING, _P.UNKNOWN):
        return NotNow(state, held.payout.why or "it moved meanwhile")
    left = None if once else until_the_second_look(held.payout.missed_at, now)
    to = _P.MANUAL_REVIEW if left is None else _P.UNKNOWN
    why = "an earlier attempt is on record, the rail shows none, and it is not safe to send it again"
    await connection.execute(_MISSED, {"id": payout, "at": now})
    if to is state:
        await payout_rows.remark(connection, held.payout, why, now, left)
    else:
        its = await endings.surroundings(connection, held.payout, held.named)
        await endings.save(connection, held.payout, held.named, Moves(to, why), now, its, left)
    return NotNow(to, why, left)


async def shut_out(
    connection: AsyncConnection, payout: UUID, step: ToSend, now: datetime, why: str, again_after: timedelta
) -> NotNow:
    """Halt the rail that rejected our credentials. If no other attempt used the key, it counts as unused again."""
    held = await payout_rows.hold(connection, payout)
    await rail_halts.halt(connection, step.rail, why, now)
    if step.key_used_at is None and await payout_history.newest(connection, payout) == step.step:
        await connection.execute(_KEY_UNUSED, {"id": payout})
        await payout_history.append(connection, payout, step.generation, now, payout_history.SHUT_OUT)
    why = f"{label('rail', step.rail)} refused our credentials: {why}"
    await payout_rows.remark(connection, held.payout, why, now, again_after)
    return NotNow(PayoutState(held.payout.state), why, again_after)


_MISSED: Final = text("UPDATE payout SET missed_at = coalesce(missed_at, :at) WHERE id = :id")

_KEY_UNUSED: Final = text("UPDATE payout SET key_used_at = NULL WHERE id = :id")
