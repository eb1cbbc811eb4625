"""A case file of a claim that waits for its approvers; a test changes the one thing it is about.

The facts, the terms and the claim are those of `dossiers`.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.attribution import fingerprint
from referral_rewards.domain.claims.claim import RewardClaim, assemble
from referral_rewards.domain.claims.dossier import Rival
from referral_rewards.domain.claims.stored_claim import StoredClaim
from referral_rewards.domain.decisions.decision import Decision, Kind
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.judging.case_file import Assembled, CaseFile
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.case import Past, case_on
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.referral import LinkedFact, Referral
from tests.domain.dossiers import BOUGHT, CLAIMED, FACTS, NOW, SENT, dossier, terms

CLAIM: Final = assemble(dossier())
CLAIM_ID, NEW_ID = UUID(int=1), UUID(int=2)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OWNER: Final = frozenset({Role.PROGRAM_OWNER})
EVERY_ROLE: Final = frozenset({Role.PROGRAM_OWNER, Role.OPERATIONS, Role.FINANCE})

ROW: Final = Referral(
    id="r1",
    origin_rank=keys.SENT,
    began_at=SENT.occurred_at,
    origin_source=SENT.source,
    origin_event=SENT.event_id,
    program="acme-friends",
    referrer="dexter",
    referrer_code=None,
    code_key=None,
    channel="email",
    parked=None,
    moved_to=None,
    acts=None,
    merged_into=None,
    facts_version=len(FACTS),
    told_at=NOW - HOUR,
    judged_version=len(FACTS),
    judged_at=NOW - HOUR,
    version=1,
    round=1,
    status=ReferralStatus.AWAITING_APPROVAL,
    reason=None,
    deadline=None,
    wake_at=None,
    claimed_at=CLAIMED.occurred_at,
    order_id=BOUGHT.order,
    stores=[],
    conversion_at=BOUGHT.occurred_at,
    net_minor=80_00,
    currency="USD",
    claim_id=CLAIM_ID,
    claim_version=len(FACTS),
    settled_rivals=None,
    rivals_seen=fingerprint(()),
    closed_at=None,
    closed_version=None,
    late_facts=0,
    answered_version=None,
    doubts=None,
    rewarded_at=None,
    waiting_since=NOW - HOUR,
    referrer_link=0,
    referee_link=0,
)


def stored(claim: RewardClaim = CLAIM) -> StoredClaim:
    """The claim as it is on record."""
    body, at = claim.model_dump(mode="json"), NOW - HOUR
    return StoredClaim(CLAIM_ID, "r1", 1, claim.digest, claim.core_digest, body, len(FACTS), "dexter", 0, at)


def past(*facts: Fact, under: Terms | None = None, versions: tuple[int, ...] | None = None) -> Past:
    """The past of a referral with these facts, linked one after the other or at these versions."""
    numbers = versions or tuple(range(1, len(facts) + 1))
    linked = tuple(LinkedFact(each, number) for each, number in zip(facts, numbers, strict=True))
    return Past(linked, {"acme-friends": [(1, under or terms())]}, None, {})


def file(row: dict[str, Any] | None = None, /, *, known: Past | None = None, **changed: Any) -> CaseFile:
    """The file above, with other values of its ``row``, another past, or other fields."""
    its, told = replace(ROW, **(row or {})), known or past(*FACTS)
    case = case_on(its, NOW, told.facts, told)
    return replace(CaseFile(row=its, now=NOW, past=told, case=case, claim=stored(), rivals=(), report=()), **changed)


def decided(kind: Kind, user: str = "pat", *, seq: int = 1, **changed: Any) -> Decision:
    """A verified decision on the claim, by its program's owner."""
    values: dict[str, Any] = {"claim_id": CLAIM_ID, "digest": CLAIM.digest, "roles": OWNER, "details": None}
    values |= changed
    return Decision(
        seq=seq, id=UUID(int=100 + seq), referral="r1", kind=kind, user=user, reason="other",
        decided_at=NOW - HOUR, **values,
    )  # fmt: skip


APPROVED: Final = decided(DecisionKind.APPROVE)


def leg(
    state: LegState = LegState.RESERVED, payout: PayoutState | None = PayoutState.APPROVED, *, sent: bool = False
) -> ReservedLeg:
    """A leg of the claim with its payout; ``sent``: its first attempt was made."""
    at = NOW - HOUR if sent else None
    return ReservedLeg(
        id=UUID(int=50), referral_id="r1", claim_id=CLAIM_ID, digest=CLAIM.digest, program="acme-friends",
        referrer="dexter", order_key="o1", role="referrer", beneficiary="dexter", kind="credit", amount_minor=2500,
        currency="USD", rail="account_credit", destination=None, state=state, approved_at=NOW - HOUR,
        decisions=(str(APPROVED.id),), bound_to=None, payout_id=None if payout is None else UUID(int=51),
        cycle_id=None, payout_state=payout, first_sent_at=at, generation=1, key_used_at=at,
    )  # fmt: skip


def rival(referral: str = "r2", **changed: Any) -> Rival:
    """Another referrer's referral of the same order, that was claimed in time."""
    values: dict[str, Any] = {"referrer": "ann", "timely_claim": True, "status": ReferralStatus.AWAITING_APPROVAL}
    values |= changed
    return Rival(referral=referral, program="acme-friends", order=BOUGHT.order, **values)


def assembled(claim: RewardClaim = CLAIM, **changed: Any) -> Assembled:
    """A claim that was just assembled, from the dossier above or another."""
    return Assembled(NEW_ID, claim, dossier(**changed))
