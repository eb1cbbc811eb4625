"""One call to a rail: pay, reverse, or look up an attempt that is on record."""

import asyncio
from datetime import datetime
from typing import Final

from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Paid,
    ReversalAnswer,
    Unfunded,
    Unknown,
    safe_to_send_again,
)
from referral_rewards.rails.port import Rail
from referral_rewards.register.clawbacks.reversals import ToReverse
from referral_rewards.register.payouts.generations import Earlier
from referral_rewards.register.payouts.sending import ToSend

#: The time a rail has to answer in all, however many requests that takes; less than the activity's own timeout.
PATIENCE_SECONDS: Final = 20.0


async def ask(rail: Rail, step: ToSend, now: datetime, committed_at: float | None = None) -> Answer | None:
    """Pay, and return the rail's answer. If an earlier attempt may have gone through, look it up first; send the same
    key and bytes again only while that is safe.

    Returns None when the payment was sent, the rail does not show it, and it must not be sent again. ``committed_at``
    is the event loop's time at which the attempt was recorded: a process that was suspended for long since then does
    not pay.
    """
    loop = asyncio.get_running_loop()
    until = (loop.time() if committed_at is None else committed_at) + PATIENCE_SECONDS
    try:
        async with asyncio.timeout_at(until):
            return await _send_or_look(rail, step, now, until)
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def look(rail: Rail, step: ToSend) -> Answer | None:
    """Return what the rail shows of a payout at rest; None if it shows nothing or cannot be asked. Moves no money."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await _find(rail, step, Earlier(step.key, step.accepted_as))
            for before in step.earlier:
                if isinstance(found, Paid):
                    break
                found = await _find(rail, step, before)
            return found
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def _send_or_look(rail: Rail, step: ToSend, now: datetime, until: float) -> Answer | None:
    if step.accepted_as is not None:
        return await rail.poll(step.request, step.key, step.accepted_as)
    for before in step.earlier:
        found = await _find(rail, step, before)
        if isinstance(found, Accepted):
            return Unknown("an order under an earlier key is still under way")
        if not isinstance(found, Declined | Unfunded | None):
            return found
    # Without a look-up, sending the same request again is the only way to ask.
    tried = step.looks_first or step.key_used_at is not None
    if tried and rail.facts.looks_up and (found := await rail.look_up(step.request, step.key)):
        return found
    if not step.may_resend or not safe_to_send_again(rail.facts.key_window, step.key_used_at, now):
        return None
    if asyncio.get_running_loop().time() >= until:
        # A retry of this activity may have sent it since, and the rail may have forgotten the key meanwhile.
        raise TimeoutError
    answer = await rail.pay(step.request, step.key)
    # What it would answer again and again is left to the look-ups, and then to a person.
    return None if isinstance(answer, Unknown) and answer.for_good else answer


async def _find(rail: Rail, step: ToSend, attempt: Earlier) -> Answer | None:
    if rail.facts.looks_up:
        return await rail.look_up(step.request, attempt.key)
    return await rail.poll(step.request, attempt.key, attempt.reference) if attempt.reference else None


async def take_back(rail: Rail, step: ToReverse, now: datetime) -> ReversalAnswer | None:
    """Reverse a payment, and return the rail's answer. If an earlier attempt may have gone through, look it up first;
    send the same key and bytes again only while that is safe.

    Returns None when the reversal was sent, the rail does not show it, and it must not be sent again.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _reversing_send_or_look(rail, step, now)
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def _reversing_send_or_look(rail: Rail, step: ToReverse, now: datetime) -> ReversalAnswer | None:
    asked = (step.request, step.paid, step.amount_minor, step.key)
    if step.sent_before is not None:
        if found := await rail.look_up_reversal(*asked):
            return found
        if not safe_to_send_again(rail.facts.key_window, step.sent_before, now):
            return None
    answer = await rail.reverse(*asked)
    return None if isinstance(answer, Unknown) and answer.for_good else answer
