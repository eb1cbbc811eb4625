"""Write what a verdict brings about: effects of decisions, a new claim, wake-ups of rivals, and the referral's row."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.judging.consequences import to_wake
from referral_rewards.domain.judging.outcome import in_brief
from referral_rewards.domain.judging.verdict import Consequences
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox
from referral_rewards.register.claims import dossier, reservations
from referral_rewards.register.decisions import effects
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import upkeep
from referral_rewards.register.queue.projection import Due
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals


async def bring_about(connection: AsyncConnection, case: Case, its: Consequences) -> None:
    """Save what a verdict brings about beside the row. ``case`` has the row as it was, with the claim that it named."""
    if its.cancels is not None:
        await reservations.cancel(connection, case, its.cancels)
    if its.takes_back_approval:
        await notices.take_back_approval(connection, case)
    for each in its.noted:
        await effects.record(connection, each.decisions, each.effect, case.now, each.why)
    if (new := its.stores) is not None:
        await claims.store(
            connection,
            new.id,
            new.claim,
            round_=case.row.round,
            referrer=new.referrer,
            facts_version=case.row.facts_version,
            approved_rewards=new.approved_rewards,
            at=case.now,
        )
    await wake(connection, case, its.wakes)


async def write(connection: AsyncConnection, case: Case, after: Referral, claim: RewardClaim | None) -> Standing:
    """Save the row as it is ``after`` the verdict, and return its standing. ``claim`` is the one that the verdict is
    about, if it is about one."""
    return in_brief(await write_row(connection, case, after, claim), claim, case.terms.currency)


async def write_row(connection: AsyncConnection, case: Case, after: Referral, claim: RewardClaim | None) -> Referral:
    """Save the row, plan the messages about a change, and return it."""
    row = await referrals.save(connection, case.row, after, case.now, stored=case.stored)
    assert row.status is not None
    if row.status is ReferralStatus.AWAITING_APPROVAL and row.waiting_since is not None:
        upkeep.date(connection, row.id, Due(row.waiting_since, patience(row.waiting_since, case.terms)))
    await notices.tell_of_status(connection, case, row.status, Reason(row.reason) if row.reason else None, claim)
    return row


async def wake_rivals(connection: AsyncConnection, case: Case) -> None:
    """Have the claims judged again that compete with this one now, because what they were judged by has changed."""
    await wake(connection, case, to_wake(await dossier.rivals(connection, case)))


async def wake(connection: AsyncConnection, case: Case, others: Iterable[str]) -> None:
    """Have other referrals judged again because of this one."""
    for other in others:
        await outbox.enqueue(connection, WakeupKind.FACT, other, case.facts[0].id)
