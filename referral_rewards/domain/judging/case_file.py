"""The case file: everything on record that the judgement of a referral depends on, loaded under its row's lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from referral_rewards.domain.claims.adjustments import Adjustment
from referral_rewards.domain.claims.approval import DecisionKind, Ruling, ruling
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Dossier, Rival
from referral_rewards.domain.claims.reserving import is_committed, whereabouts_of
from referral_rewards.domain.claims.stored_claim import StoredClaim
from referral_rewards.domain.decisions.adjusting import adjustments_of
from referral_rewards.domain.decisions.decision import Decision, counting
from referral_rewards.domain.decisions.redirects import in_force
from referral_rewards.domain.decisions.tellers import tellers
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.payouts.destinations import Whereabouts
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.referrals.case import Case, Past
from referral_rewards.domain.referrals.inquiries import Answers, Question
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.domain.referrals.referral import Referral


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """What is on record about a referral when its judgement begins, and what its sources ``answers``.

    ``case`` is the case on all facts; None if no fact has begun it, or no terms were in force then. ``decisions`` are
    those that verify, oldest first; ``forged`` are the ids of the others. ``void`` are decisions that an earlier
    judgement voided, ``barred`` the users among those who decided that are barred now. ``claim`` is the current claim,
    ``legs`` are those that are not cancelled. ``is_given_up``: people decided to cancel the payment of the claim's
    legs, which must not be reserved again. ``redirected`` are the verified decisions on where their payees are paid,
    oldest first. ``former`` are the orders that were paid for before the referral was reopened for another, as long as
    a reward for them stands or has a clawback case that waits.

    ``rivals`` and ``report`` are read only where a verdict depends on them (`verdict.LookUp`); None: they were not.
    ``report`` are the questions about a reported conversion that no source has answered, at most one.
    """

    row: Referral
    now: datetime
    past: Past
    case: Case | None
    claim: StoredClaim | None = None
    decisions: tuple[Decision, ...] = ()
    forged: tuple[UUID, ...] = ()
    void: frozenset[UUID] = frozenset()
    barred: frozenset[str] = frozenset()
    legs: tuple[ReservedLeg, ...] = ()
    is_given_up: bool = False
    redirected: tuple[Decision, ...] = ()
    former: frozenset[OrderName] = frozenset()
    answers: Answers | None = None
    rivals: tuple[Rival, ...] | None = None
    report: tuple[Question, ...] | None = None

    @property
    def begun(self) -> Case:
        """The case of a referral that has begun."""
        assert self.case is not None
        return self.case

    def of_claim(self, claim: UUID | None) -> tuple[Decision, ...]:
        """Return the verified decisions on a claim, also those that do not count."""
        return tuple(decision for decision in self.decisions if decision.claim_id == claim)

    def counting(self, claim: UUID | None) -> tuple[Decision, ...]:
        """Return the decisions on a claim that count: no void approvals, and none by users who were barred since or
        told a fact of it themselves."""
        told_by = tellers(self.case.facts) if self.case is not None else ()
        return counting(self.of_claim(claim), self.void, self.barred, told_by)

    def ruled(self, claim: RewardClaim, claim_id: UUID | None) -> Ruling:
        """Return what the decisions that count come to for a claim under this id."""
        made = [each.signoff for each in self.counting(claim_id)]
        return ruling(claim.requirement, made, claim.digest, frozen=claim.frozen)

    def approved_claim(self) -> RewardClaim | None:
        """Return the current claim if enough people approved it, and nobody denied or holds it; else None."""
        if self.claim is None:
            return None
        claim = self.claim.claim
        return claim if self.ruled(claim, self.claim.id) is Ruling.APPROVED else None

    def whereabouts(self) -> Mapping[str, Whereabouts]:
        """Return where each payee of the referral's legs may be paid."""
        redirects = in_force(self.redirected, self.barred)
        return whereabouts_of(self.begun, {leg.beneficiary for leg in self.legs}, redirects)

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
    def lost_its_payments(self) -> bool:
        """Whether money was sent, and no payment counts any more."""
        return self.row.status in PAID and not self.is_frozen

    @property
    def keeps_cases(self) -> bool:
        """Whether there may be clawback cases though no payment of the present claim counts, while it is open."""
        if self.case is None or self.row.closed_at is not None:
            return False
        return self.lost_its_payments or (bool(self.former) and not self.is_frozen)

    @property
    def kept_back(self) -> bool:
        """Whether the current claim was denied or is on hold: then nothing else is done with it."""
        if self.claim is None:
            return False
        return self.ruled(self.reward_claim(), self.claim.id) in (Ruling.DENIED, Ruling.HELD)


@dataclass(frozen=True, slots=True)
class Assembled:
    """The claim that the rules make now, the dossier that they judged, and the id that it gets if it is a new one."""

    id: UUID
    claim: RewardClaim
    gathered: Dossier

    @property
    def rivals(self) -> tuple[Rival, ...]:
        """The referrals of the same referee or order, as they stood when the claim was assembled."""
        return self.gathered.rivals or ()
