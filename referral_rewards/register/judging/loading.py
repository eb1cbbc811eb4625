"""Load what a judgement of a referral depends on: its row under the row's lock, then the rest in one statement.

The rest is read by a statement of its own, because PostgreSQL takes what a statement reads from before it waited for a
lock. So whatever was committed under the lock before is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.adjustments import Adjustment
from referral_rewards.domain.claims.approval import DecisionKind, Ruling, ruling
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.reserving import is_committed, whereabouts_of
from referral_rewards.domain.claims.stored_claim import StoredClaim
from referral_rewards.domain.decisions.adjusting import adjustments_of
from referral_rewards.domain.decisions.decision import counting
from referral_rewards.domain.decisions.redirects import in_force
from referral_rewards.domain.payouts.destinations import Whereabouts
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.referrals.case import Case, Past, case_on
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox
from referral_rewards.register.claims import reservations
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import Lock
from referral_rewards.register.referrals import cases

_CLAIM: Final = TypeAdapter(StoredClaim | None)
_IDS: Final = TypeAdapter(frozenset[UUID])


@dataclass(frozen=True, slots=True)
class CaseFile:
    """What is on record about a referral when its judgement begins.

    ``decisions`` are those that verify, oldest first; ``forged`` are the ids of the others. ``void`` are decisions that
    an earlier judgement voided, ``barred`` the users among those who decided that are barred now. ``claim`` is the
    current claim, ``legs`` are those that are not cancelled. ``is_given_up``: people decided to cancel the payment of
    the claim's legs, which must not be reserved again. ``redirected`` are the verified decisions on where their payees
    are paid, oldest first.
    """

    row: Referral
    past: Past
    claim: StoredClaim | None
    decisions: tuple[Decision, ...]
    forged: tuple[UUID, ...]
    void: frozenset[UUID]
    barred: frozenset[str]
    legs: tuple[ReservedLeg, ...]
    is_given_up: bool
    redirected: tuple[Decision, ...]

    def case(self, now: datetime) -> Case | None:
        """Return the case on all facts; None if no fact has begun it, or no terms were in force then."""
        return case_on(self.row, now, self.past.facts, self.past)

    def of_claim(self, claim: UUID | None) -> tuple[Decision, ...]:
        """Return the verified decisions on a claim, also those that do not count."""
        return tuple(decision for decision in self.decisions if decision.claim_id == claim)

    def counting(self, claim: UUID | None) -> tuple[Decision, ...]:
        """Return the decisions on a claim that count: no void approvals, and none by users who were barred since."""
        return counting(self.of_claim(claim), self.void, self.barred)

    def approved_claim(self) -> RewardClaim | None:
        """Return the current claim if enough people approved it, and nobody denied or holds it; else None."""
        if self.claim is None:
            return None
        claim, made = self.claim.claim, self.counting(self.claim.id)
        ruled = ruling(claim.requirement, [each.signoff for each in made], claim.digest, frozen=claim.frozen)
        return claim if ruled is Ruling.APPROVED else None

    def whereabouts(self, case: Case) -> Mapping[str, Whereabouts]:
        """Return where each payee of the referral's legs may be paid."""
        return whereabouts_of(case, {leg.beneficiary for leg in self.legs}, in_force(self.redirected, self.barred))

    def reward_claim(self) -> RewardClaim:
        """Return the current claim."""
        assert self.claim is not None
        return self.claim.claim

    def adjustments(self) -> tuple[Adjustment, ...]:
        """Return the adjustments by which the referral's next claim is judged."""
        claim = self.reward_claim() if self.claim is not None else None
        return adjustments_of(claim, self.row.claim_id, self.decisions, self.barred)

    def adjusted_anew(self, claim: RewardClaim, made: Sequence[Decision]) -> bool:
        """Return whether the decisions ``made`` on the claim adjust it, or who adjusted it before was barred since."""
        barred = any(each.by in self.barred for each in claim.adjustments)
        return barred or any(decision.kind is DecisionKind.ADJUST for decision in made)

    @property
    def is_frozen(self) -> bool:
        """Whether a payment of the claim counts as committed, or none is left: then what was paid for stays.

        Once every payment was refused or returned definitively, the claim is judged as before the first.
        """
        return self.row.status in PAID and is_committed(self.row.status, self.legs)

    @property
    def kept_back(self) -> bool:
        """Whether the current claim was denied or is on hold: then nothing else is done with it."""
        if self.claim is None:
            return False
        claim, made = self.reward_claim(), self.counting(self.claim.id)
        ruled = ruling(claim.requirement, [decision.signoff for decision in made], claim.digest)
        return ruled in (Ruling.DENIED, Ruling.HELD)


async def lock_order_of(connection: AsyncConnection, referral: str) -> None:
    """Lock the order, so that claims on it are assembled one after the other and the later sees the earlier."""
    await connection.execute(_LOCK_ORDER, {"space": int(Lock.ORDER), "referral": referral})


async def load(connection: AsyncConnection, row: Referral, keys: KeyRing) -> CaseFile:
    """Return what is on record about a referral whose row is locked, and take it off the list of those to be judged.

    What is put on the list later stays there: the same statement reads the decisions and payouts that could be why.
    """
    found = (await connection.execute(_LOAD, {"referral": row.id, "claim": row.claim_id})).one()
    genuine, forged = decisions.verified(found.decisions, keys)
    return CaseFile(
        row=row,
        past=await cases.past_of(connection, found, keys),
        claim=_CLAIM.validate_python(found.claim),
        decisions=genuine,
        forged=forged,
        void=_IDS.validate_python(found.void),
        barred=frozenset(found.barred),
        legs=reservations.standing_legs(found.legs),
        is_given_up=found.is_given_up,
        redirected=decisions.verified(found.redirected, keys)[0],
    )


_LOCK_ORDER: Final = text("""
SELECT pg_advisory_xact_lock(:space, hashtext(coalesce(
    (SELECT nullif(order_id, '') FROM referral WHERE id = :referral), 'referral:' || :referral)))
""")

_LOAD: Final = text(f"""
{cases.LINKED}, made AS MATERIALIZED ({decisions.LINKED} WHERE d.referral_id = :referral), redirected AS MATERIALIZED (
    {decisions.LINKED} WHERE d.referral_id = ANY(ARRAY(
        SELECT ('payee ' || beneficiary) COLLATE "C" FROM leg WHERE referral_id = :referral
    ))
), {outbox.JUDGED}
SELECT {cases.PAST},
    (SELECT to_jsonb(c) FROM reward_claim c WHERE c.id = CAST(:claim AS uuid)) AS claim,
    (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.seq), '[]') FROM made m) AS decisions,
    ARRAY(SELECT decision_id FROM decision_effect WHERE decision_id IN (SELECT id FROM made) AND effect = 'void')
        AS void,
    ARRAY(
        SELECT name FROM app_user WHERE barred_at IS NOT NULL
        AND name IN (SELECT username FROM made UNION ALL SELECT username FROM redirected)
    ) AS barred, (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.seq), '[]') FROM redirected m) AS redirected,
    (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.role), '[]') FROM ({reservations.LEGS}) AS l) AS legs,
    {reservations.GIVEN_UP} AS is_given_up
""")  # noqa: S608 (words of ours alone)
