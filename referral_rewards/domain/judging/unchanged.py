"""Answer a wake-up without judging, if nothing was told since the last judgement and nothing came due.

While a referral waits for its four periods, only a fact or a time changes its verdict. The one raises
``facts_version``, the other was foreseen as ``wake_at``; an act of a person lists the referral in `to_judge`. So a
signal that is sent twice, or by somebody who wants to disturb, costs a read.
From the claim on people decide, and each wake-up verifies anew who decided what.
"""

from datetime import datetime
from typing import Final

from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import TIMED, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral

_BY_THE_PERIODS: Final = TIMED - {ReferralStatus.IN_REVIEW}


def unchanged(row: Referral, now: datetime) -> Standing | None:
    """Return the verdict of the last judgement if a judgement at ``now`` would find the same; None if it might not.

    It holds for a referral that is not listed to be judged (`register.outbox.is_listed`).
    """
    if row.judged_version != row.facts_version or row.status not in _BY_THE_PERIODS:
        return None
    if row.wake_at is not None and row.wake_at <= now:
        return None
    if row.parked or row.merged_into or row.moved_to or row.closed_at or row.claim_id:
        return None
    return Standing(
        status=row.status,
        deadline=row.deadline,
        wake_at=row.wake_at,
        facts_version=row.facts_version,
        program=row.program or "",
    )
