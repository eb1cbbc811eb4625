"""Move a referral's reward to another referrer: an `attribution.changed` fact asks for it, a signed decision does it.

The row's ``moved_to`` alone is not trusted. It counts only if the decision that it names verifies and was made on a
claim whose evidence asks for exactly this referrer.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import DecisionKind, requirement_of_a_move, satisfied
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import CheckCode
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case
from referral_rewards.register.referrals.rows import Referral


async def holds(connection: AsyncConnection, row: Referral, keys: KeyRing) -> bool:
    """Return whether the referral was never moved, or verified decisions moved it to the referrer in its row."""
    if row.moved_to is None:
        return True
    made, _ = await decisions.on_referral(connection, row.id, keys)
    deciding = next((d for d in made if d.id == row.moved_by and d.kind is DecisionKind.REASSIGN), None)
    if deciding is None:
        return False
    claim, _ = await claims.current(connection, deciding.claim_id)
    on_it = [decision for decision in made if decision.claim_id == deciding.claim_id]
    return decided(claim, on_it) and await _asked_for(connection, claim) == row.moved_to


async def believed(connection: AsyncConnection, row: Referral, now: datetime, keys: KeyRing) -> Referral:
    """Return the locked row; a move in it that no verified decision supports is removed first."""
    if await holds(connection, row, keys):
        return row
    return await referrals.write(connection, row, now, moved_to=None, moved_by=None)


def decided(claim: RewardClaim, made: Sequence[Decision]) -> bool:
    """Return whether enough authorised people decided to move this claim; ``made`` are the verified decisions on it."""
    signoffs = [decision.signoff for decision in made]
    return satisfied(requirement_of_a_move(claim.requirement), signoffs, claim.digest, DecisionKind.REASSIGN)


async def move(
    connection: AsyncConnection, case: Case, claim: RewardClaim, made: Sequence[Decision]
) -> Referral | None:
    """Move the referral if enough people decided so on this claim, and return its row; None if it did not move.

    The other decisions on the claim become void.
    """
    if not decided(claim, made):
        return None
    to = await _asked_for(connection, claim)
    if to is None or to == case.origin.referrer:
        return None
    moving = [decision for decision in made if decision.kind is DecisionKind.REASSIGN]
    others = [decision.id for decision in made if decision.kind is not DecisionKind.REASSIGN]
    await effects.record(connection, others, "void", case.now, f"moved to {to}")
    await effects.record(connection, [each.id for each in moving], "applied", case.now, f"moved to {to}")
    await referrals.listen_to_referrer(connection, case.row.id, case.origin.program, to)
    gone = {"moved_to": to, "moved_by": moving[-1].id, "claim_id": None}
    return await referrals.write(connection, case.row, case.now, stored=case.stored, **gone)


async def _asked_for(connection: AsyncConnection, claim: RewardClaim) -> str | None:
    """Return the referrer to whom the claim's evidence asks to move it; None if it does not."""
    cited = next(check.evidence for check in claim.checks if check.code is CheckCode.ATTRIBUTION_CLEAR)
    found = await connection.execute(_ASKED_FOR, {"facts": list(cited)})
    return found.scalar_one_or_none()


_ASKED_FOR: Final = text("""
SELECT data->>'to_referrer' FROM fact
WHERE id = ANY(CAST(:facts AS uuid[])) AND type = 'attribution.changed'
ORDER BY occurred_at DESC, source DESC, event_id DESC LIMIT 1
""")
