"""One question to a rail: to pay, to take back, or what became of an attempt that is on record."""

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

#: All that a rail may take to answer, however many requests it makes of it; less than the activity itself has.
PATIENCE_SECONDS: Final = 20.0


async def ask(rail: Rail, step: ToSend, now: datetime, committed_at: float | None = None) -> Answer | None:
    """Looks first where an attempt may have gone through; sends the same key and bytes only while that is safe.

    None: it went out, the rail does not show it, and it may not go out again. ``committed_at`` is the running loop's
    time at which the attempt was put on record: a process that was stopped since then for long does not pay.
    """
    loop = asyncio.get_running_loop()
    until = (loop.time() if committed_at is None else committed_at) + PATIENCE_SECONDS
    try:
        async with asyncio.timeout_at(until):
            return await _send_or_look(rail, step, now, until)
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def look(rail: Rail, step: ToSend) -> Answer | None:
    """What the rail shows of a payout at rest, if it can be asked; it moves nothing."""
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
    # Where it can't be looked up, sending the same again is the only way to ask.
    tried = step.looks_first or step.key_used_at is not None
    if tried and rail.facts.looks_up and (found := await rail.look_up(step.request, step.key)):
        return found
    if not step.may_resend or not safe_to_send_again(rail.facts.key_window, step.key_used_at, now):
        return None
    if asyncio.get_running_loop().time() >= until:
        # Whoever runs this attempt anew has sent it since, and the rail may have forgotten the key again.
        raise TimeoutError
    return await rail.pay(step.request, step.key)


async def _find(rail: Rail, step: ToSend, attempt: Earlier) -> Answer | None:
    if rail.facts.looks_up:
        return await rail.look_up(step.request, attempt.key)
    return await rail.poll(step.request, attempt.key, attempt.reference) if attempt.reference else None


async def take_back(rail: Rail, step: ToReverse, now: datetime) -> ReversalAnswer | None:
    """Looks first where an attempt may have gone through; sends the same key and bytes only while that is safe.

    None: it went out, the rail does not show it, and it may not go out again.
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
    return await rail.reverse(*asked)
