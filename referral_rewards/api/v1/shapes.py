"""What the API shows of referrals and of what is decided on them: the shapes of its answers.

They describe what `reporting` puts together, which is answered as it is. A member that is not named here may be added.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import CheckCode, Flag, Recommendation, Result
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import RewardKind, Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-07-24T14:00:00Z"])]
"""An instant in ISO 8601, in UTC."""
#: An id that the company gave, such as a referral's.
GivenId = Annotated[str, Field(examples=["db1"])]


class _Shown(BaseModel):
    model_config = ConfigDict(extra="allow")


class Conversion(_Shown):
    """*The* conversion of a referral; ``net_minor`` is None for one without an amount."""

    order: GivenId
    occurred_at: Instant
    net_minor: int | None
    currency: str | None


class ClaimInBrief(_Shown):
    """A reward claim as the listing shows it."""

    digest: str
    recommendation: Recommendation
    checks: dict[CheckCode, Result]
    flags: list[Flag]
    score: int
    legs: list["LegInBrief"]
    routes: list[Role]


class LegInBrief(_Shown):
    """One reward to one beneficiary."""

    role: Side
    beneficiary: str | None
    kind: RewardKind
    amount_minor: int
    currency: str


class PayoutInBrief(_Shown):
    """One provider call, and where it stands."""

    payout: UUID
    role: Side | None
    state: PayoutState
    amount_minor: int
    currency: str
    rail: str


class _Placed(_Shown):
    """Where a referral stands. One that was never judged has no status; ``reason`` says what its facts wait for."""

    referral: GivenId
    program: str | None = None
    version: int | None = None
    referrer: str | None = None
    channel: str | None = None
    status: ReferralStatus | None
    reason: str | None = None
    deadline: Instant | None = None
    conversion: Conversion | None = None
    merged_into: str | None = None


class ReferralInBrief(_Placed):
    """A referral in the form of `referrals list --json`."""

    claim: ClaimInBrief | None
    payouts: list[PayoutInBrief]


class ReferralPage(BaseModel):
    """Referrals by their ids. ``next`` is what `after` takes for the page that follows; null at the end."""

    referrals: list[ReferralInBrief]
    next: str | None


class Effect(_Shown):
    """What came of a decision, and why: applied, void, forged."""

    effect: str
    at: Instant
    why: str


class DecisionShown(_Shown):
    """A decision on record; ``genuine`` is false for a row that nobody with a key wrote."""

    id: UUID
    seq: int
    kind: str
    user: str
    roles: list[str]
    reason: str
    note: str | None
    digest: str
    decided_at: Instant
    genuine: bool
    effects: list[Effect]


class DecidableClaim(_Shown):
    """What a decision would be made against now (``digest``) and the kinds it takes; of a closed one, its closing."""

    referral: GivenId
    status: ReferralStatus | None
    reason: str | None
    digest: str | None
    takes: list[DecisionKind]
    claim: RewardClaim | None
    decisions: list[DecisionShown]


class Told(_Shown):
    """Where it stands, in words for the people whom it concerns."""

    why: str
    next: str | None
    appeal: str | None


class FactShown(_Shown):
    """A fact of the referral; ``late`` if it came in after the closing."""

    fact: UUID
    type: str
    source: str
    event_id: str
    occurred_at: Instant
    received_at: Instant
    data: dict[str, Any]
    version: int
    late: bool


class Step(_Shown):
    """One change of status."""

    at: Instant
    status: ReferralStatus
    reason: str | None
    facts_version: int


class ReferralShown(_Placed):
    """Everything about one referral: its periods, claim, decisions, money, facts and history."""

    round: int
    facts_version: int
    judged_version: int
    closed_at: Instant | None
    late_facts: int
    moved_to: str | None
    told: Told | None
    periods: dict[str, Any] | None
    claim: RewardClaim | None
    decisions: list[DecisionShown]
    inquiries: list[dict[str, Any]]
    legs: list[dict[str, Any]]
    payouts: list[dict[str, Any]]
    clawbacks: list[dict[str, Any]]
    facts: list[FactShown]
    history: list[Step]
