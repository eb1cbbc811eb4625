"""Everything about one referral, to explain its status."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.claims.adjustments import left_out
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.domain.referrals.explanation import why_left_out
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting import decisions, payouts
from referral_rewards.reporting.clawbacks import CaseInList
from referral_rewards.reporting.decisions import ClaimDecision
from referral_rewards.reporting.lists import clawbacks
from referral_rewards.reporting.payouts import PayoutLife
from referral_rewards.reporting.referrals import periods
from referral_rewards.reporting.referrals.communication import MessageShown, communication
from referral_rewards.reporting.referrals.decidable import claim_of
from referral_rewards.reporting.referrals.inquiries import Inquiry, inquiries
from referral_rewards.reporting.referrals.listing import Placed, listed
from referral_rewards.reporting.referrals.periods import Moved, Periods, Told
from referral_rewards.reporting.shape import Instant, Shape


class LegShown(Shape):
    """A reward that an approval reserved."""

    leg: UUID
    role: Side
    beneficiary: str
    kind: RewardKind
    amount_minor: int
    currency: str
    rail: str
    state: str
    approved_at: Instant


class PayoutOfReferral(PayoutLife):
    """A payout for a reward of the referral, and the side that it pays. ``provider_reference`` equals ``reference``."""

    role: Side | None
    provider_reference: str | None


class CaseOfReferral(CaseInList):
    """A clawback case of the referral, and the fact that opened it."""

    fact: UUID


class FactShown(Shape):
    """A fact of the referral; ``late``: it arrived after the closing. ``told_by`` is the user who told it and ``token``
    the id of the token that they used; null for what this installation recorded itself."""

    fact: UUID
    type: str
    source: str
    event_id: str
    occurred_at: Instant
    received_at: Instant
    data: dict[str, Any]
    version: int
    late: bool
    told_by: str | None = None
    token: UUID | None = None


class Appeal(Shape):
    """An appeal against a closing by one of the sides; ``words`` is null once erased."""

    by: str | None
    at: Instant
    words: str | None


class HistoryStep(Shape):
    """One change of status."""

    at: Instant
    status: ReferralStatus
    reason: str | None
    facts_version: int


class ReferralShown(Placed):
    """Everything about one referral: its periods, claim, decisions, money, facts and history.

    ``merged_into`` is set for a request that means another referral, where it is evidence.
    """

    merged_into: str | None = None
    round: int
    facts_version: int
    judged_version: int
    closed_at: Instant | None
    late_facts: int
    moved_to: str | None
    told: Told | None
    periods: Periods | None
    claim: RewardClaim | None
    decisions: tuple[ClaimDecision, ...]
    inquiries: tuple[Inquiry, ...]
    legs: tuple[LegShown, ...]
    payouts: tuple[PayoutOfReferral, ...]
    clawbacks: tuple[CaseOfReferral, ...]
    facts: tuple[FactShown, ...]
    appeals: tuple[Appeal, ...]
    history: tuple[HistoryStep, ...]
    communication: tuple[MessageShown, ...]


def left_out_because(shown: ReferralShown, side: Side) -> str | None:
    """Return why one side's reward was left out of what was approved, in a sentence; None if it was not."""
    if shown.claim is None or shown.status not in APPROVED:
        return None
    its = left_out(shown.claim.adjustments).get(side)
    return why_left_out(its.reason) if its is not None else None


#: A referral of these statuses was approved: each side has a reward of it, or none.
APPROVED: Final = frozenset(
    {ReferralStatus.APPROVED, ReferralStatus.PAYING, ReferralStatus.REWARDED, ReferralStatus.CLAWED_BACK}
)


def taken_back_minor(shown: ReferralShown, leg: LegShown) -> int:
    """Return what was taken back of a reward, in minor units; what was written off was not taken."""
    its = [case for case in shown.clawbacks if case.leg == leg.leg]
    return sum(each.recovered_minor for case in its for each in case.clawbacks)


def given_back_minor(shown: ReferralShown, leg: LegShown) -> int:
    """Return what of that went back to its payee, in minor units: what was paid, not what is on its way."""
    its = [case for case in shown.clawbacks if case.leg == leg.leg]
    return sum(each.amount_minor for case in its for each in case.returns if each.state is PayoutState.SETTLED)


async def showing(connection: AsyncConnection, referral: str, keys: KeyRing) -> ReferralShown:
    """Return everything about the referral.

    Raises:
        NotFound: if there is no such referral.
    """
    row = await referrals.row(connection, referral)
    if row is None:
        raise NotFound("referral", referral)
    life = await periods.life(connection, row, keys)
    made = await decisions.on_referral(connection, referral, keys)
    asked = {"referral": referral}
    return ReferralShown(
        **await _placed(connection, row),
        round=row.round,
        facts_version=row.facts_version,
        judged_version=row.judged_version,
        closed_at=row.closed_at,
        late_facts=row.late_facts,
        moved_to=row.moved_to,
        told=periods.told(row, life, made, await _moved(connection, row)) if life and row.status else None,
        periods=periods.shown(life) if life else None,
        claim=await claim_of(connection, row.claim_id),
        decisions=made,
        inquiries=await inquiries(connection, referral),
        legs=tuple(LegShown.model_validate(each) for each in await connection.execute(_LEGS, asked)),
        payouts=await _payouts(connection, referral),
        clawbacks=await _cases(connection, referral),
        facts=tuple(FactShown.model_validate(each) for each in await connection.execute(_FACTS, asked)),
        appeals=await _appeals(connection, referral),
        history=tuple(HistoryStep.model_validate(each) for each in await referrals.steps(connection, referral)),
        communication=await communication(connection, referral),
    )


async def _appeals(connection: AsyncConnection, referral: str) -> tuple[Appeal, ...]:
    rows = await connection.execute(_APPEALS, {"referral": referral})
    found = [(row, personal.body_of(connection, row.id, row.sealed) or {}) for row in rows]
    return tuple(Appeal(by=row.by, at=row.at, words=told.get("why")) for row, told in found)


async def _moved(connection: AsyncConnection, row: Referral) -> Moved:
    if row.status not in (ReferralStatus.REWARDED, ReferralStatus.CLAWED_BACK):
        return Moved()
    return Moved.model_validate((await connection.execute(_MOVED, {"referral": row.id})).one())


async def _placed(connection: AsyncConnection, row: Referral) -> dict[str, Any]:
    """Return the members that the listing also shows; a merged request is not listed and has only ids."""
    brief = await listed(connection, row.id)
    if brief is None:
        return {**dict.fromkeys(Placed.model_fields), "referral": row.id, "merged_into": row.merged_into}
    return {name: getattr(brief, name) for name in Placed.model_fields}


async def _payouts(connection: AsyncConnection, referral: str) -> tuple[PayoutOfReferral, ...]:
    """Return the referral's payouts, the referrer's first."""
    rows = (await connection.execute(_PAYOUTS, {"referral": referral})).all()
    lives = {each.payout: each for each in await payouts.lives(connection, [row.payout for row in rows])}
    return tuple(
        PayoutOfReferral(**dict(lives[row.payout]), role=row.role, provider_reference=lives[row.payout].reference)
        for row in rows
    )


async def _cases(connection: AsyncConnection, referral: str) -> tuple[CaseOfReferral, ...]:
    """Return the referral's clawback cases, oldest first."""
    rows = (await connection.execute(_CLAWBACKS, {"referral": referral})).all()
    found = await clawbacks.page(connection, clawbacks.Wanted(referral=referral, limit=len(rows))) if rows else []
    cases = {each.case: each for each in found}
    return tuple(CaseOfReferral(**dict(cases[row.case]), fact=row.fact) for row in rows)


_LEGS: Final = text("""
SELECT id AS leg, role, beneficiary, kind, amount_minor, currency, rail, state, approved_at
FROM leg WHERE referral_id = :referral ORDER BY approved_at, role DESC
""")

_PAYOUTS: Final = text("""
SELECT payout_id AS payout, role FROM payouts_of(:referral) ORDER BY role DESC, live DESC, payout_id
""")

_MOVED: Final = text("""
SELECT (SELECT max(p.settled_at) FROM payouts_of(:referral) AS o JOIN payout p ON p.id = o.payout_id) AS paid_at,
       back.updated_at AS taken_back_at, back.reason AS taken_back_for
FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
    SELECT b.updated_at, d.reason FROM clawback b JOIN decision d ON d.id = b.decision_id
    WHERE b.referral_id = :referral AND b.recovered_minor > 0 ORDER BY b.updated_at DESC LIMIT 1
) AS back ON true
""")

_CLAWBACKS: Final = text("""
SELECT id AS case, fact_id AS fact FROM clawback_case WHERE referral_id = :referral ORDER BY opened_at, leg_id
""")

# An appeal's words are personal data and can be erased; the appeal itself stays.
_APPEALS: Final = text("""
SELECT f.id, f.data->>'by' AS by, f.occurred_at AS at, p.sealed
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id LEFT JOIN personal_data p ON p.subject_id = f.id
WHERE rf.referral_id = :referral AND f.type = 'referral.appealed' ORDER BY f.occurred_at, f.id
""")

# A fact that arrives after the closing is late: only a decision to reopen applies it.
_FACTS: Final = text("""
SELECT f.id AS fact, f.type, f.source, f.event_id, f.occurred_at, f.received_at, f.data, rf.version,
       r.closed_version IS NOT NULL AND rf.version > r.closed_version AS late, t.username AS told_by,
       t.token_id AS token
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id JOIN referral r ON r.id = rf.referral_id
LEFT JOIN fact_teller t ON t.id = f.teller_id
WHERE rf.referral_id = :referral ORDER BY f.occurred_at, f.source, f.event_id
""")
