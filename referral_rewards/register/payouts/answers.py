"""Record a rail's answer: move the payout forward, book it, and wake its referrals."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import money
from referral_rewards.domain.clawbacks.states import CameBack, came_back
from referral_rewards.domain.labels import label
from referral_rewards.domain.payouts.advice import until_the_second_look
from referral_rewards.domain.payouts.states import AT_REST, TRANSITIONS, PayoutState
from referral_rewards.register import payout_history, rail_halts
from referral_rewards.register.payouts import endings
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts.sending import NotNow, ToSend

_P = PayoutState
#: If the rail shows a payout in one of these states as paid after all, it goes to a person for review.
_UNPAID: Final = frozenset({_P.REFUSED, _P.WAITING_FUNDS, _P.CANCELLED})


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
    """Move a payout to the state ``to``, book it if it settled or came back, and return its state afterwards.

    Wakes a referral once all its payouts are at rest. A state that can't follow the current one changes nothing,
    because answers may come late or twice. But a payment after a refusal or cancellation, or under an earlier
    ``generation`` of the key, goes to a person for review. A payout settled in another way gets a remark that the rail
    paid as well.
    """
    held = await payout_rows.hold(connection, payout)
    state, of_another = PayoutState(held.payout.state), generation not in (None, held.payout.generation)
    if given_up := await endings.is_given_up(connection, payout):
        if await _seen_by_a_person(connection, held.payout, to, reference, why):
            return state
        to = _P.CANCELLED if state is _P.MANUAL_REVIEW and to is _P.REFUSED else to
    if to is _P.SETTLED and (state in _UNPAID or of_another):
        to, why = _P.MANUAL_REVIEW, f"the rail shows that it paid after all, as {reference}"
    elif of_another:
        return state
    if to is _P.RETURNED and await endings.paid_otherwise(connection, payout):
        return state
    if to is _P.RETURNED:
        ours_minor = await endings.taken_back_by_us(connection, payout)
        match came_back(held.payout.amount_minor, ours_minor):
            case CameBack.BY_US:
                return state
            case CameBack.PARTLY_BY_US:
                # It can't be known which of its rewards are owed again: a person must find out.
                ours = money.display(ours_minor, held.payout.currency)
                why = f"all of it came back at the rail, of which we took back no more than {ours}"
                await payout_rows.remark(connection, held.payout, why, now, again_after)
                return state
    if to is state or to not in TRANSITIONS[state]:
        if to is _P.SETTLED and reference not in (None, held.payout.provider_reference):
            why = f"it is {state} here, and the rail shows that it paid after all, as {reference}"
        elif state in AT_REST:
            why = why or held.payout.why  # The reason why it is at rest stays.
        await payout_rows.remark(connection, held.payout, why, now, again_after)
        return state
    await payout_rows.move(connection, payout, to, now, why, reference, again_after)
    if to is _P.SETTLED:
        await endings.settled(connection, held.payout, now, given_up=given_up)
    if to is _P.RETURNED:
        await endings.returned(connection, held.payout, now, given_up=given_up)
    await payout_rows.tell(connection, held.payout, held.named, to)
    return to


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
        await payout_rows.move(connection, payout, to, now, why, None, left)
        await payout_rows.tell(connection, held.payout, held.named, to)
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


async def _seen_by_a_person(
    connection: AsyncConnection, payout: Any, to: PayoutState, reference: str | None, why: str | None
) -> bool:
    """Return whether a person has already seen what the rail shows of a payout that was given up.

    The payment may have been recovered since by something that the rail lists separately.
    """
    if to not in (_P.SETTLED, _P.MANUAL_REVIEW):
        return False
    steps = await payout_history.of(connection, payout.id)
    shown = [(each.reference, each.why) for each in steps if each.state == _P.MANUAL_REVIEW]
    return (reference, why) in shown if to is _P.MANUAL_REVIEW else reference in dict(shown)


_MISSED: Final = text("UPDATE payout SET missed_at = coalesce(missed_at, :at) WHERE id = :id")

_KEY_UNUSED: Final = text("UPDATE payout SET key_used_at = NULL WHERE id = :id")
