"""One question to a rail about a payout: to pay, or what became of an attempt that is on record."""

import asyncio
from datetime import datetime
from typing import Final

from referral_rewards.domain.payouts import Answer, Unknown, safe_to_send_again
from referral_rewards.rails.port import Rail
from referral_rewards.register.payouts import ToSend

#: All that a rail may take to answer, however many requests it makes of it; less than the activity itself has.
PATIENCE_SECONDS: Final = 20.0


async def ask(rail: Rail, step: ToSend, now: datetime) -> Answer | None:
    """Looks first where an attempt may have gone through; sends the same key and bytes only while that is safe.

    None: it went out, the rail does not show it, and it may not go out again.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _send_or_look(rail, step, now)
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def _send_or_look(rail: Rail, step: ToSend, now: datetime) -> Answer | None:
    if step.sent_before is None:
        return await rail.pay(step.request, step.key)
    if step.accepted_as is not None:
        return await rail.poll(step.request, step.key, step.accepted_as)
    # Where it can't be looked up, sending the same again is the only way to ask.
    if rail.terms.looks_up and (found := await rail.look_up(step.request, step.key)):
        return found
    if not step.may_resend or not safe_to_send_again(rail.terms, step.sent_before, now):
        return None
    return await rail.pay(step.request, step.key)
