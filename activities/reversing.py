"""One question to a rail about a reversal: to take back, or what became of an attempt that is on record."""

import asyncio
from datetime import datetime

from activities.sending import PATIENCE_SECONDS
from referral_rewards.domain.payouts.states import ReversalAnswer, Unknown, safe_to_send_again
from referral_rewards.rails.port import Rail
from referral_rewards.register.clawbacks.reversals import ToReverse


async def take_back(rail: Rail, step: ToReverse, now: datetime) -> ReversalAnswer | None:
    """Looks first where an attempt may have gone through; sends the same key and bytes only while that is safe.

    None: it went out, the rail does not show it, and it may not go out again.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _send_or_look(rail, step, now)
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def _send_or_look(rail: Rail, step: ToReverse, now: datetime) -> ReversalAnswer | None:
    asked = (step.request, step.paid, step.amount_minor, step.key)
    if step.sent_before is not None:
        if found := await rail.look_up_reversal(*asked):
            return found
        if not safe_to_send_again(rail.terms, step.sent_before, now):
            return None
    return await rail.reverse(*asked)
