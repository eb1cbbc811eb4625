"""Verify the paid rewards of a pilot by the audit's own reading of the evidence, not by what was judged."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.accuracy import examined
from referral_rewards.audit.evidence import Span
from referral_rewards.audit.loading import Means
from referral_rewards.audit.parts import Examined
from referral_rewards.domain.pilots.outcome import PaidReward, SixParts, Verdict
from referral_rewards.domain.referrals.lifecycle import Side


async def verify(
    connection: AsyncConnection, program: str, rewards: Sequence[PaidReward], means: Means
) -> Sequence[Verdict]:
    """Return the verdict on every paid reward of the referrals of these. The transaction must see one moment."""
    names = sorted({each.referral for each in rewards})
    if not names:
        return ()
    return [_verdict(each) async for each in examined(connection, Span(program), means, names)]


def _verdict(found: Examined) -> Verdict:
    its, failing = found.reward, frozenset(found.failing)
    return Verdict(
        its.referral,
        Side(its.role),
        its.payout,
        tuple(SixParts(part.value) for part in found.failing),
        tuple(each.what for each in found.findings if each.part in failing),
    )
