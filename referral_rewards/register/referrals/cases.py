"""A case: a referral under its row's lock, with its course through the four periods up to now."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ClaimRow
from models.statuses import spelled
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.stored_claim import StoredClaim
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.case import Case, Past, case_on
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals


async def open_case(connection: AsyncConnection, row: Referral | Row[Any], now: datetime, keys: KeyRing) -> Case | None:
    """Return the case on all facts of the referral; None if no fact has begun it, or no terms were in force then."""
    found = (await connection.execute(_PAST, {"referral": row.id})).one()
    past = await past_of(connection, found, keys)
    return case_on(referrals.of_row(row), now, past.facts, past)


async def pasts_of(connection: AsyncConnection, documents: Mapping[str, Any], keys: KeyRing) -> Mapping[str, Past]:
    """Return the pasts of several referrals, by id, from what a statement read by `pasts`."""
    told = _PASTS_TOLD.validate_python(documents)
    return {referral: await past_of(connection, past, keys) for referral, past in told.items()}


async def past_of(connection: AsyncConnection, row: "_PastTold | Row[Any]", keys: KeyRing) -> Past:
    """Return the past of a referral from a row with the columns `PAST`. Terms that are not known yet are read."""
    known: dict[str, list[tuple[int, Terms]]] = {}
    for program, number in row.versions:
        known.setdefault(program, []).append((number, await programs.version(connection, program, number)))
    return Past(referrals.linked(row.facts), known, row.approved_at, program_acts.lives(row.acts, keys))


@dataclass(frozen=True, slots=True)
class _PastTold:
    facts: Sequence[Mapping[str, Any]]
    versions: Sequence[tuple[str, int]]
    approved_at: datetime | None
    acts: Sequence[Mapping[str, Any]]


_PASTS_TOLD: Final = TypeAdapter(dict[str, _PastTold])


#: The columns that `past_of` reads, over `LINKED`.
PAST: Final = spelled(
    f"""
(SELECT coalesce(jsonb_agg(to_jsonb(l)), '[]') FROM linked l) AS facts,
(SELECT coalesce(jsonb_agg(jsonb_build_array(program, version) ORDER BY program, version), '[]') FROM program_version
 WHERE program IN (SELECT data->>'program' FROM linked)) AS versions,
{program_acts.acts_on("SELECT data->>'program' FROM linked")} AS acts,
(SELECT min(approved_at) FROM leg WHERE referral_id = :referral AND state <> :cancelled) AS approved_at
""",  # noqa: S608 (words of ours alone)
    cancelled=LegState.CANCELLED,
)
LINKED: Final = f"WITH linked AS MATERIALIZED ({referrals.FACTS})"
_PAST: Final = text(f"{LINKED} SELECT {PAST}")


def pasts(referrals: str) -> str:
    """Return a query, of one value for `pasts_of`, for the pasts of the referrals in an array."""
    past = re.sub(r":referral\b", "its.id", f"{LINKED} SELECT {PAST}")
    return f"""(
    SELECT coalesce(json_object_agg(its.id, (SELECT to_json(past) FROM ({past}) AS past)), '{{}}')
    FROM unnest({referrals}) AS its(id)
)"""  # noqa: S608 (queries of ours alone)


async def current(connection: AsyncConnection, claim_id: UUID | None) -> tuple[RewardClaim, StoredClaim]:
    """Return the claim with that id, and its row."""
    row = (await connection.execute(_CLAIM, {"id": claim_id})).one()
    stored = StoredClaim(*(getattr(row, each.name) for each in fields(StoredClaim)))
    return stored.claim, stored


async def store(
    connection: AsyncConnection,
    claim_id: UUID,
    claim: RewardClaim,
    *,
    round_: int,
    facts_version: int,
    referrer: str | None,
    approved_rewards: int,
    at: datetime,
) -> None:
    """Store an assembled claim under this id."""
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


_CLAIM: Final = text("SELECT * FROM reward_claim WHERE id = :id")
