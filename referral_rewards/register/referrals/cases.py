"""A case: a referral under its row's lock, with its course through the four periods up to now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ClaimRow
from models.statuses import statement
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.domain.programs.terms import Terms, in_force
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.domain.referrals.origin import Origin, origin
from referral_rewards.domain.referrals.periods import Course
from referral_rewards.register import programs
from referral_rewards.register.referrals import rows as referrals


@dataclass(frozen=True, slots=True)
class Case:
    """The input of every further judgement of a referral.

    ``ahead_at`` is when the next fact that we already received takes effect: a source's clock may run minutes ahead
    of ours (SPEC §3).
    """

    row: Any
    now: datetime
    version: int
    terms: Terms
    origin: Origin
    facts: tuple[Fact, ...]
    course: Course
    ahead_at: datetime | None = None

    def took_effect(self, fact: Fact) -> bool:
        """Return whether a fact that was already known has taken effect since the referral was last judged."""
        last: datetime | None = self.row.judged_at
        return last is not None and last < fact.occurred_at <= self.now


async def open_case(connection: AsyncConnection, row: Any, now: datetime) -> Case | None:
    """Return the case on all facts of the referral; None if no fact has begun it, or no terms were in force then."""
    linked = await referrals.facts(connection, row.id)
    return await case_on(connection, row, now, [each.fact for each in linked])


async def case_on(connection: AsyncConnection, row: Any, now: datetime, facts: Sequence[Fact]) -> Case | None:
    """Return the case on these facts alone; None as for `open_case`."""
    admitted = await _admitted(connection, row, facts)
    # Two machines' clocks may differ; time must not go back behind the last judgement.
    now = max(now, row.judged_at or now)
    ahead_at = next_ahead(facts, now)
    begun = origin(admitted, now)
    if begun is None:
        return None
    if row.moved_to is not None:
        begun = replace(begun, referrer=row.moved_to)
    bound = in_force(await programs.versions(connection, begun.program), begun.began_at)
    if bound is None:
        return None
    version, terms = bound
    lived = periods.course if row.round == 1 else periods.reopened
    course = lived(admitted, terms, now, origin=begun)
    return Case(row, now, version, terms, begun, admitted, course, ahead_at)


def next_ahead(facts: Iterable[Fact], now: datetime) -> datetime | None:
    """Return when the next of these facts takes effect; None if all of them have."""
    return min((fact.occurred_at for fact in facts if fact.occurred_at > now), default=None)


async def _admitted(connection: AsyncConnection, row: Any, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return the facts that count.

    Withdrawals do not count if they came after a valid approval, or before a reopening that was decided in spite of
    them. After a payment, facts that would change the referral's origin do not count either.
    """
    facts = [fact for fact in facts if row.status not in PAID or not _begins_otherwise(row, fact)]
    withdrawals = [fact for fact in facts if fact.type is FactType.REFERRAL_WITHDRAWN]
    if not withdrawals:
        return tuple(facts)
    approved_at = (await connection.execute(_APPROVED_AT, {"referral": row.id})).scalar_one()
    void = [f for f in withdrawals if row.round > 1 or (approved_at is not None and f.occurred_at >= approved_at)]
    return tuple(fact for fact in facts if fact not in void)


def _begins_otherwise(row: Any, fact: Fact) -> bool:
    """Return whether a fact takes precedence over the one that the row names as the referral's origin."""
    began = (row.origin_rank, row.began_at, row.origin_source, row.origin_event)
    able = fact.type in _RANKS and "program" in fact.data and bool(fact.data.keys() & {"referrer", "referrer_code"})
    return able and (_RANKS[fact.type], *fact.precedence) < began


_RANKS: Final = {FactType.REFERRAL_SENT: keys.SENT, FactType.REFERRAL_CLAIMED: keys.CLAIMED}

_APPROVED_AT: Final = statement(
    "SELECT min(approved_at) FROM leg WHERE referral_id = :referral AND state <> :cancelled",
    cancelled=LegState.CANCELLED,
)


#: As a referral's ``claim_version``: its claim must be assembled again on the current facts.
NEVER_JUDGED: Final = -1


async def current(connection: AsyncConnection, claim_id: UUID) -> tuple[RewardClaim, Any]:
    """Return the claim with that id, and its row."""
    row = (await connection.execute(_CLAIM, {"id": claim_id})).one()
    return RewardClaim.model_validate(row.body), row


async def store(
    connection: AsyncConnection,
    claim: RewardClaim,
    *,
    round_: int,
    facts_version: int,
    referrer: str | None,
    approved_rewards: int,
    at: datetime,
) -> UUID:
    """Store an assembled claim and return its id."""
    claim_id = uuid4()
    await connection.execute(
        insert(ClaimRow).values(
            id=claim_id,
            referral_id=claim.referral,
            round=round_,
            digest=claim.digest,
            core_digest=claim.core_digest,
            body=claim.model_dump(mode="json"),
            facts_version=facts_version,
            referrer=referrer,
            approved_rewards=approved_rewards,
            assembled_at=at,
        )
    )
    return claim_id


_CLAIM: Final = text("SELECT * FROM reward_claim WHERE id = :id")
