"""What a rail answered, put on record: the payout moves forward, is booked, and its referrals hear of it."""

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
#: What was not to be paid any more, and is shown as paid after all, is a person's to look at.
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
    """Moves a payout forward; a settled one is booked and its legs are paid. Wakes the referral once all are at rest.

    A state that can't follow the present one changes nothing: answers may come late and twice. But that it was paid
    though it was refused or cancelled before, or under an earlier ``generation`` of its key than the present one, is
    put before a person; and one that rests as paid in another way says from then on that the rail paid as well.
    """
    held = await payout_rows.hold(connection, payout)
    state, of_another = PayoutState(held.row.state), generation not in (None, held.row.generation)
    if given_up := await endings.is_given_up(connection, payout):
        if await _seen_by_a_person(connection, held.row, to, reference, why):
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
        match came_back(held.row.amount_minor, ours_minor):
            case CameBack.BY_US:
                return state
            case CameBack.PARTLY_BY_US:
                # Which of its rewards are owed again nobody can tell: a person sees to it.
                ours = money.display(ours_minor, held.row.currency)
                why = f"all of it came back at the rail, of which we took back no more than {ours}"
                await payout_rows.remark(connection, held.row, why, now, again_after)
                return state
    if to is state or to not in TRANSITIONS[state]:
        if to is _P.SETTLED and reference not in (None, held.row.provider_reference):
            why = f"it is {state} here, and the rail shows that it paid after all, as {reference}"
        elif state in AT_REST:
            why = why or held.row.why  # It rests for what it rested for before.
        await payout_rows.remark(connection, held.row, why, now, again_after)
        return state
    await payout_rows.move(connection, payout, to, now, why, reference, again_after)
    if to is _P.SETTLED:
        await endings.settled(connection, held.row, now, given_up=given_up)
    if to is _P.RETURNED:
        await endings.returned(connection, held.row, now, given_up=given_up)
    await payout_rows.tell(connection, held.row, held.named, to)
    return to


async def missed(connection: AsyncConnection, payout: UUID, step: ToSend, now: datetime, *, once: bool) -> NotNow:
    """Takes note that the rail does not show what may have gone out, and can't be sent again: it is looked for once
    more after a while (``once``: it can't be), and then put before a person."""
    held = await payout_rows.hold(connection, payout)
    state = PayoutState(held.row.state)
    if held.row.generation != step.generation or state not in (_P.SENDING, _P.UNKNOWN):
        return NotNow(state, held.row.why or "it moved meanwhile")
    left = None if once else until_the_second_look(held.row.missed_at, now)
    to = _P.MANUAL_REVIEW if left is None else _P.UNKNOWN
    why = "an earlier attempt is on record, the rail shows none, and it is not safe to send it again"
    await connection.execute(_MISSED, {"id": payout, "at": now})
    if to is state:
        await payout_rows.remark(connection, held.row, why, now, left)
    else:
        await payout_rows.move(connection, payout, to, now, why, None, left)
        await payout_rows.tell(connection, held.row, held.named, to)
    return NotNow(to, why, left)


async def shut_out(
    connection: AsyncConnection, payout: UUID, step: ToSend, now: datetime, why: str, again_after: timedelta
) -> NotNow:
    """Halts the rail that did not let us in. A key that it has not seen by this, and by no other attempt, is unused."""
    held = await payout_rows.hold(connection, payout)
    await rail_halts.halt(connection, step.rail, why, now)
    if step.key_used_at is None and await payout_history.newest(connection, payout) == step.step:
        await connection.execute(_KEY_UNUSED, {"id": payout})
        await payout_history.append(connection, payout, step.generation, now, payout_history.SHUT_OUT)
    why = f"{label('rail', step.rail)} refused our credentials: {why}"
    await payout_rows.remark(connection, held.row, why, now, again_after)
    return NotNow(PayoutState(held.row.state), why, again_after)


async def _seen_by_a_person(
    connection: AsyncConnection, payout: Any, to: PayoutState, reference: str | None, why: str | None
) -> bool:
    """Whether what its rail shows of a payout that was given up is, or was, before a person: it may have been taken
    back since by what the rail lists as something else."""
    if to not in (_P.SETTLED, _P.MANUAL_REVIEW):
        return False
    steps = await payout_history.of(connection, payout.id)
    shown = [(each.reference, each.why) for each in steps if each.state == _P.MANUAL_REVIEW]
    return (reference, why) in shown if to is _P.MANUAL_REVIEW else reference in dict(shown)


_MISSED: Final = text("UPDATE payout SET missed_at = coalesce(missed_at, :at) WHERE id = :id")

_KEY_UNUSED: Final = text("UPDATE payout SET key_used_at = NULL WHERE id = :id")
