"""A case: a referral under its row's lock, with its course through the four periods up to now."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import Row, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ClaimRow
from models.statuses import spelled
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.domain.programs.life import RUNNING, Life
from referral_rewards.domain.programs.life import newest as newest_of
from referral_rewards.domain.programs.terms import Terms, in_force
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.domain.referrals.origin import Origin, origin
from referral_rewards.domain.referrals.periods import Course
from referral_rewards.domain.referrals.signed_acts import NO_ACTS, SignedActs
from referral_rewards.register import programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.rows import LinkedFact, Referral


@dataclass(frozen=True, slots=True)
class Case:
    """The input of every further judgement of a referral.

    ``program`` is what was decided on its program, whose ``newest`` terms in force set the budget. ``ahead_at`` is when
    the next fact that we already received takes effect: a source's clock may run minutes ahead of ours (SPEC §3).
    """

    row: Referral
    now: datetime
    version: int
    terms: Terms
    origin: Origin
    facts: tuple[Fact, ...]
    course: Course
    ahead_at: datetime | None = None
    program: Life = RUNNING
    newest: Terms | None = None
    #: The row as it stands in the database, while ``row`` holds changes that are decided and not saved yet.
    stored: Referral | None = None

    @property
    def acts(self) -> SignedActs:
        """What people decided about the referral's attribution."""
        return acts_of(self.row)

    def took_effect(self, fact: Fact) -> bool:
        """Return whether a fact that was already known has taken effect since the referral was last judged."""
        last = self.row.judged_at
        return last is not None and last < fact.occurred_at <= self.now


@dataclass(frozen=True, slots=True)
class Past:
    """What a case follows from, besides its row: the linked facts, the versions of the programs that they name and what
    was decided on these (``lives``), and when a standing leg was first approved (None: none is)."""

    linked: tuple[LinkedFact, ...]
    versions: Mapping[str, Sequence[tuple[int, Terms]]]
    approved_at: datetime | None
    lives: Mapping[str, Life]

    @property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(each.fact for each in self.linked)


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


def case_on(row: Referral, now: datetime, facts: Sequence[Fact], past: Past) -> Case | None:
    """Return the case on these facts alone; None as for `open_case`."""
    admitted = _admitted(row, facts, past.approved_at)
    # Two machines' clocks may differ; time must not go back behind the last judgement.
    now = max(now, row.judged_at or now)
    ahead_at = next_ahead(facts, now)
    begun = origin(admitted, now)
    if begun is None:
        return None
    acts = acts_of(row)
    if acts.reassigned is not None:
        begun = replace(begun, referrer=acts.reassigned.referrer)
    versions = past.versions.get(begun.program, ())
    bound = in_force(versions, begun.began_at)
    if bound is None:
        return None
    version, terms = bound
    lived = periods.course if row.round == 1 else periods.reopened
    program = past.lives.get(begun.program, RUNNING)
    course = lived(admitted, terms, now, origin=begun, linked=acts.orders, program=program)
    return Case(row, now, version, terms, begun, admitted, course, ahead_at, program, newest_of(versions, now))


def exchange_of(case: Case) -> str | None:
    """Return the order that would qualify in the place of the one that was paid for; None if none does."""
    other = other_conversion(case)
    return other.order if other is not None else None


def other_conversion(case: Case) -> Conversion | None:
    """Return the conversion that would qualify in the place of the one that was paid for; None if none does."""
    return periods.replacement(
        case.facts,
        case.terms,
        case.now,
        order=case.row.order_id,
        linked=acts_of(case.row).orders,
        program=case.program,
    )


def acts_of(row: Referral | Row[Any]) -> SignedActs:
    """Return what people decided about a referral's attribution, as its row says; None of it is verified here."""
    return NO_ACTS if row.acts is None else _ACTS.validate_python(row.acts)


def acts_document(acts: SignedActs) -> dict[str, Any] | None:
    """Return the document that `acts_of` reads; None for no acts."""
    document: dict[str, Any] = _ACTS.dump_python(acts, mode="json")
    return None if acts == NO_ACTS else document


_ACTS: Final = TypeAdapter(SignedActs)


def next_ahead(facts: Iterable[Fact], now: datetime) -> datetime | None:
    """Return when the next of these facts takes effect; None if all of them have."""
    return min((fact.occurred_at for fact in facts if fact.occurred_at > now), default=None)


def _admitted(row: Referral, facts: Sequence[Fact], approved_at: datetime | None) -> tuple[Fact, ...]:
    """Return the facts that count.

    Withdrawals do not count if they came after a valid approval, or before a reopening that was decided in spite of
    them. After a payment, facts that would change the referral's origin do not count either.
    """
    facts = [fact for fact in facts if row.status not in PAID or not _begins_otherwise(row, fact)]
    withdrawals = [fact for fact in facts if fact.type is FactType.REFERRAL_WITHDRAWN]
    if not withdrawals:
        return tuple(facts)
    void = [f for f in withdrawals if row.round > 1 or (approved_at is not None and f.occurred_at >= approved_at)]
    return tuple(fact for fact in facts if fact not in void)


def _begins_otherwise(row: Referral, fact: Fact) -> bool:
    """Return whether a fact takes precedence over the one that the row names as the referral's origin."""
    began = (row.origin_rank, row.began_at, row.origin_source, row.origin_event)
    able = fact.type in _RANKS and "program" in fact.data and bool(fact.data.keys() & {"referrer", "referrer_code"})
    return able and (_RANKS[fact.type], *fact.precedence) < began


_RANKS: Final = {FactType.REFERRAL_SENT: keys.SENT, FactType.REFERRAL_CLAIMED: keys.CLAIMED}

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


#: As a referral's ``claim_version``: its claim must be assembled again on the current facts.
NEVER_JUDGED: Final = -1


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """A reward claim's row, as `models.ClaimRow` describes it."""

    id: UUID
    referral_id: str
    round: int
    digest: str
    core_digest: str
    body: Mapping[str, Any]
    facts_version: int
    referrer: str | None
    approved_rewards: int
    assembled_at: datetime

    @property
    def claim(self) -> RewardClaim:
        return RewardClaim.model_validate(self.body)


async def current(connection: AsyncConnection, claim_id: UUID | None) -> tuple[RewardClaim, StoredClaim]:
    """Return the claim with that id, and its row."""
    row = (await connection.execute(_CLAIM, {"id": claim_id})).one()
    stored = StoredClaim(*(getattr(row, each.name) for each in fields(StoredClaim)))
    return stored.claim, stored


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
