"""Load what stands beside the facts of paid rewards: claims, histories, answers of sources, and legs."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit import statements
from referral_rewards.audit.evidence import SKEW, Asked, ClaimOnRecord, PromisedLeg, Reserved, Reward, Step, Version
from referral_rewards.audit.reading import arithmetic
from referral_rewards.audit.reading.rewards import Held

#: Words of legs that no longer count.
_FREED: Final = ["cancelled", "clawed_back"]
#: No cap reaches back further.
_EVER: Final = datetime(1900, 1, 1, tzinfo=UTC)


async def claims(connection: AsyncConnection, page: Sequence[Reward]) -> Mapping[UUID, ClaimOnRecord]:
    """The claims that a page of rewards was approved by, by their ids."""
    rows = await connection.execute(statements.CLAIMS, {"ids": sorted({each.claim_id for each in page})})
    return {
        row.id: ClaimOnRecord(
            id=row.id,
            referral=row.referral_id,
            round=row.round,
            digest=row.digest,
            program=row.program,
            version=row.version,
            flags=frozenset(row.flags),
            approved_rewards=row.approved_rewards,
            first_assembled_at=row.assembled_at,
            first_position=row.first_position,
            first_sight=tuple(row.first_sight),
            first_approved_rewards=row.first_rewards,
        )
        for row in rows
    }


async def steps(connection: AsyncConnection, referrals: Collection[str]) -> Mapping[str, Sequence[Step]]:
    """The histories of some referrals, oldest step first."""
    found: defaultdict[str, list[Step]] = defaultdict(list)
    for row in await connection.execute(statements.STEPS, {"referrals": sorted(referrals)}):
        found[row.referral_id].append(Step(row.at, row.position, row.status))
    return found


async def asked(connection: AsyncConnection, referrals: Sequence[str]) -> Mapping[str, Sequence[Asked]]:
    """What sources answered about some referrals, oldest first."""
    found: defaultdict[str, list[Asked]] = defaultdict(list)
    for row in await connection.execute(statements.ASKED, {"referrals": list(referrals)}):
        found[row.referral_id].append(Asked(row.source, row.subject, row.asked_at, row.position, row.answer))
    return found


async def legs(connection: AsyncConnection, page: Sequence[Reward]) -> Mapping[UUID, Sequence[PromisedLeg]]:
    """The legs of the claims that a page of rewards is of."""
    found: defaultdict[UUID, list[PromisedLeg]] = defaultdict(list)
    asked = {"claims": sorted({each.claim_id for each in page})}
    for row in await connection.execute(statements.LEGS_OF_CLAIMS, asked):
        found[row.claim_id].append(PromisedLeg(row.role, row.beneficiary, row.kind, row.amount_minor))
    return found


async def held_of_referrals(
    connection: AsyncConnection, referrals: Collection[str]
) -> Mapping[str, Sequence[Reserved]]:
    """The live legs of some referrals."""
    found: defaultdict[str, list[Reserved]] = defaultdict(list)
    asked: dict[str, object] = {"referrals": sorted(referrals), "freed": _FREED}
    for row in await connection.execute(statements.HELD_OF_REFERRALS, asked):
        found[row.referral_id].append(_reserved(row))
    return found


async def held_of_referrer(
    connection: AsyncConnection, reward: Reward, versions: Mapping[str, Sequence[Version]]
) -> Sequence[Reserved]:
    """The referrer's live legs that may count for a cap; none where no version of the terms has one."""
    limits = [(each.terms.get("limits") or {}).get("per_referrer") for each in versions[reward.program]]
    periods = [_longest(limit["period"]) for limit in limits if limit is not None]
    if reward.role != "referrer" or not periods:
        return ()
    asked = {
        "program": reward.program,
        "referrer": reward.referrer,
        "since": max(_EVER, reward.at - max(periods)),
        "until": reward.at + SKEW,
        "freed": _FREED,
    }
    return [_reserved(row) for row in await connection.execute(statements.HELD_OF_REFERRER, asked)]


def _reserved(row: Row[Any]) -> Reserved:
    held = Held(row.referral_id, row.program, row.referrer, row.order_key, row.role, row.amount_minor, row.approved_at)
    return Reserved(held, row.position, row.reserved)


async def counted(
    connection: AsyncConnection,
    reward: Reward,
    claim: ClaimOnRecord | None,
    versions: Mapping[str, Sequence[Version]],
) -> tuple[int, int]:
    """Between which numbers the referrer's rewards lay when the claim was first assembled, where tiers read that."""
    if claim is None or not any(_counts_rewards(each.terms) for each in versions[reward.program]):
        return (0, 0)
    before, *under_way = claim.first_sight or (claim.first_position,)
    asked = {
        "program": reward.program,
        "referrer": reward.referrer,
        "referral": reward.referral,
        "at": claim.first_assembled_at,
        "before": before,
        "under_way": under_way,
        "freed": _FREED,
    }
    row = (await connection.execute(statements.COUNTED, asked)).one()
    return (row.least, row.most)


def _counts_rewards(terms: Mapping[str, Any]) -> bool:
    rules = [rule for rule in terms["rewards"].values() if rule]
    return any("from_rewarded" in tier for rule in rules for tier in rule.get("tiers") or ())


def _longest(period: str) -> timedelta:
    """An upper bound for the length of a period on any calendar."""
    months, days, exact = arithmetic.parts(period)
    return timedelta(days=31 * months + days + 4) + exact
