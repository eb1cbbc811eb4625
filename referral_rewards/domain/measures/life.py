"""What the measures read of one referral (SPEC §8): its dates, its claim, its rewards, and what people said of it.

All amounts are in minor units of the currency beside them, and as of the moment of the report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus, Side


class Money(NamedTuple):
    """An amount in minor units of its currency."""

    currency: str
    minor: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """*The* conversion. ``gross`` is its latest amount and ``net`` what is left of that after reversals; both are None
    for one without an amount."""

    occurred_at: datetime
    gross: Money | None
    net: Money | None


@dataclass(frozen=True, slots=True)
class Reward:
    """One approved leg. ``settled_at`` is None unless a payment of it settled and stands. What was taken back is what
    was recovered, less what went back to the payee. ``owed`` is whether it is still to be paid, ``counted`` whether it
    counts against the budget: it was neither cancelled nor taken back in full."""

    side: Side
    kind: str
    amount: Money
    decided_at: datetime
    approved_at: datetime
    settled_at: datetime | None = None
    taken_back_minor: int = 0
    owed: bool = False
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """The reward claim, over all the times it was assembled. ``flagged`` is since when it had each flag that it ever
    had; ``duplicate_cost`` is what it came to when it was first flagged as a duplicate, and ``rewards`` what it
    comes to as it was last assembled."""

    assembled_at: datetime
    flagged: Mapping[Flag, datetime] = field(default_factory=dict)
    duplicate_cost: tuple[Money, ...] = ()
    rewards: tuple[Money, ...] = ()


class Rating(NamedTuple):
    """The answer of one person to the question how satisfied they are, from 1 to 5."""

    at: datetime
    score: int


@dataclass(frozen=True, slots=True)
class Life:
    """One referral of a program, as the measures read it.

    ``due_at`` is the end of its return period; ``decided_at`` is when the decision was signed that approved or denied
    it; ``closed_at`` is when it ended without a reward; ``rewarded_at`` is when it was last rewarded. ``asked`` is when
    its referrer was asked how satisfied they are. ``expected`` is the most that becomes due if its return period ends
    well, None unless that runs. ``orders`` are all of the referee from the conversion on, this one first.
    """

    referral: str
    status: ReferralStatus
    began_at: datetime
    reason: Reason | None = None
    claimed_at: datetime | None = None
    conversion: Conversion | None = None
    orders: tuple[Conversion, ...] = ()
    due_at: datetime | None = None
    claim: Claim | None = None
    decided_at: datetime | None = None
    closed_at: datetime | None = None
    rewards: tuple[Reward, ...] = ()
    rewarded_at: datetime | None = None
    asked: tuple[datetime, ...] = ()
    ratings: tuple[Rating, ...] = ()
    expected: Money | None = None
