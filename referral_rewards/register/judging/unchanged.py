"""Answer a wake-up without judging, if nothing was told since the last judgement and nothing came due.

Whatever changes a verdict raises the referral's ``facts_version``, lists it in `to_judge`, or was foreseen as its
``wake_at``: a deadline, a reminder, a fact whose time was still to come. So a signal that is sent twice, or by somebody
who wants to disturb, costs a read. A payment does not rely on it: its activity verifies everything itself.
"""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, PAID, TIMED, ReferralStatus
from referral_rewards.register import programs
from referral_rewards.register.judging import verdicts
from referral_rewards.register.referrals import cases
from referral_rewards.register.referrals.rows import Held, Referral

#: Such a verdict is about the referral's claim.
_OF_A_CLAIM: Final = (BEFORE_PAYMENT | PAID) - TIMED


def is_unchanged(held: Held, now: datetime) -> bool:
    """Return whether a judgement at ``now`` would find what the last one found."""
    row = held.row
    return (
        not held.is_listed
        and row.judged_version == row.facts_version
        and (row.wake_at is None or now < row.wake_at)
        and _stands(row)
    )


def _stands(row: Referral) -> bool:
    """Return whether the row holds a verdict that needs no step of ours and no second look at who decided it."""
    waits_for_assembly = row.status is None or row.status is ReferralStatus.IN_REVIEW
    return not (waits_for_assembly or row.closed_at or row.parked or row.merged_into or row.moved_to)


async def standing(connection: AsyncConnection, row: Referral) -> Standing:
    """Return the verdict of the last judgement."""
    claim, currency = None, ""
    if row.status in _OF_A_CLAIM and row.program is not None and row.version is not None:
        claim, _ = await cases.current(connection, row.claim_id)
        currency = (await programs.version(connection, row.program, row.version)).currency
    return verdicts.in_brief(row, claim, currency)
