"""A referral as the subject of a decision: loads its claim, or its closing, with everything that the rules read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import DecisionKind, Requirement
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.reserving import is_committed
from referral_rewards.domain.decisions.basis import Basis
from referral_rewards.domain.decisions.claim_subject import ClaimSubject
from referral_rewards.domain.decisions.decision import Asked, Decision, known_at
from referral_rewards.domain.decisions.tellers import tellers as tellers_of
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.payouts.states import FREED
from referral_rewards.domain.programs.life import paused_words
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.case import Case, exchange_of
from referral_rewards.domain.referrals.closing import closing_digest
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox, tellers
from referral_rewards.register.claims import dossier, named, reservations
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.notices import planning as notices
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import open_case


@dataclass(frozen=True, slots=True)
class Matter:
    """What the rules read of a referral, and its case; None if nothing can be decided on it."""

    subject: ClaimSubject
    case: Case | None


@dataclass(frozen=True, slots=True)
class _Found:
    """A referral's current claim, whether a payment counts as committed, whether something that came after the closing
    waits for an answer, the other referral whose reward of the same order stands, and who told its facts."""

    claim: RewardClaim | None
    sent: bool
    unanswered: bool
    rewarded_by: str | None
    told_by: Mapping[str, frozenset[str]]


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the referral under its row's lock.

    Raises:
        NotFound: if there is no such referral.
    """
    row = await referrals.hold(connection, asked.subject)
    if row is None or (row.merged_into and row.status is None):
        raise NotFound("referral", asked.subject)
    matter = await _matter(connection, row, now, keys, asked)
    return Held(matter.subject, partial(_follow, matter.case))


async def shown(
    connection: AsyncConnection, referral: str, now: datetime, keys: KeyRing, asked: Asked | None = None
) -> Matter:
    """Return the referral without a lock, to show what a person may decide on it, or a decision before it is recorded.

    Raises:
        NotFound: if there is no such referral.
    """
    row = await referrals.row(connection, referral)
    if row is None:
        raise NotFound("referral", referral)
    return await _matter(connection, row, now, keys, asked)


async def _matter(
    connection: AsyncConnection, row: Referral, now: datetime, keys: KeyRing, asked: Asked | None
) -> Matter:
    """Load a referral, and what a decision on it names; to show it, the referrer to whom a request moves it."""
    history = await decisions.history_of_referral(connection, row.id, keys)
    found = await _found(connection, row)
    claim = found.claim
    # Without a claim or a closing there is nothing to decide but a link.
    decidable = claim is not None or row.closed_at is not None or asked is None or asked.kind is DecisionKind.LINK
    case = await open_case(connection, row, now, keys) if decidable and row.status is not None else None
    subject = ClaimSubject(
        referral=row.id,
        status=ReferralStatus(row.status) if row.status else None,
        closed=row.closed_at is not None,
        claim_id=row.claim_id,
        claim=claim,
        judged=row.judged_version == row.facts_version,
        sent=found.sent,
        history=history,
        basis=None if case is None else await _basis(connection, case, claim, asked, found.told_by),
        paused=None if case is None else paused_words(case.origin.program, case.program, now),
        known=row.facts_version if row.closed_at is not None else None,
        unanswered=found.unanswered,
        rewarded_by=found.rewarded_by,
        exchange=_exchange(case, row),
    )
    return Matter(subject, case)


def _exchange(case: Case | None, row: Referral) -> str | None:
    """Return the order for which a referral that was taken back can be reopened; None if there is none."""
    order = exchange_of(case) if case is not None and row.status == ReferralStatus.CLAWED_BACK else None
    return None if order is None else str(order)


async def _found(connection: AsyncConnection, row: Referral) -> _Found:
    asked = {"referral": row.id, "claim": row.claim_id, "program": row.program}
    order = {"order": reservations.order_key(row), "stores": list(row.stores)}
    found = (await connection.execute(_CLAIM, {**asked, **order})).one()
    legs = reservations.standing_legs(found.legs)
    return _Found(
        claim=RewardClaim.model_validate(found.body) if row.claim_id is not None else None,
        sent=is_committed(row.status, legs),
        unanswered=found.unanswered,
        rewarded_by=found.rewarded_by,
        told_by=tellers.told_by(found.tellers),
    )


async def _basis(
    connection: AsyncConnection,
    case: Case,
    claim: RewardClaim | None,
    asked: Asked | None,
    told_by: Mapping[str, frozenset[str]],
) -> Basis:
    digest, requirement = _signed(case, claim)
    proposed = attribution.proposed_referrer(case.facts, case.origin.referrer, case.now)
    referrer = proposed if asked is None else asked.referrer
    order = OrderName(asked.order, asked.store) if asked is not None and asked.order else None
    return Basis(
        digest=digest,
        requirement=requirement,
        parties=await dossier.parties(connection, case),
        entered_by=dossier.entered_by(case.facts),
        told_by={name: told_by.get(name, frozenset()) for name in tellers_of(case.facts)},
        referrer=case.origin.referrer,
        proposed=proposed,
        candidate=await named.candidate(connection, case, referrer) if referrer else None,
        order=await named.order(connection, case, order) if order else None,
    )


def _signed(case: Case, claim: RewardClaim | None) -> tuple[str, Requirement]:
    """Return the digest that a decision covers now, and what it needs: of the closing or the claim, or of where a
    referral stands that has neither."""
    if case.row.closed_at is not None or claim is None or case.row.status == ReferralStatus.CLAWED_BACK:
        return closing_digest(case.row), _to_reopen(case.terms)
    return claim.digest, claim.requirement


def _to_reopen(terms: Terms) -> Requirement:
    routes = {role for roles in terms.approval.routes.values() for role in roles}
    return Requirement(routes=tuple(sorted(routes)), people=1)


async def _follow(case: Case | None, connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    """Wake the referral; a request for evidence also tells both sides, and an answer whoever appealed."""
    await outbox.enqueue(connection, WakeupKind.DECISION, decision.referral, decision.id)
    if decision.kind is DecisionKind.REQUEST_EVIDENCE and case is not None:
        await notices.ask_for_evidence(connection, case, str(decision.id))
    if known_at(decision) is not None and case is not None:
        await notices.answer_appeals(connection, case, decision)


_CLAIM: Final = statement(
    f"""
SELECT (SELECT body FROM reward_claim WHERE id = :claim) AS body,
       (SELECT min(referral_id) FROM leg WHERE program = :program AND order_key = :order AND referral_id <> :referral
        AND one_order(stores, CAST(:stores AS text[])) AND state <> ALL(:freed)
        AND role IN (SELECT leg->>'role' FROM reward_claim c CROSS JOIN jsonb_array_elements(c.body->'legs') AS leg
                     WHERE c.id = :claim)) AS rewarded_by,
       (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.role), '[]') FROM ({reservations.LEGS}) AS l) AS legs,
       {tellers.of_referrals("SELECT :referral")} AS tellers,
       EXISTS (SELECT 1 FROM queue_entry WHERE referral_id = :referral
               AND exception IN ('{Waits.LATE_FACT}', '{Waits.APPEAL}', '{Waits.REPORTED}',
                                 '{Waits.CLOSED_IN_CONFLICT}')) AS unanswered
""",  # noqa: S608 (a query of ours)
    freed=FREED,
)
