"""What a judgement comes to: the closed set of verdicts, each with all that it brings about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.reserving import Reservation
from referral_rewards.domain.decisions.waiting import Patience
from referral_rewards.domain.payouts.destinations import Whereabouts
from referral_rewards.domain.referrals.inquiries import Moment, Question
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus, Side


class LookUp(StrEnum):
    """What a verdict depends on beside the case file, and is not read for every judgement."""

    RIVALS = "rivals"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Noted:
    """The effect of decisions, ``applied``, ``void`` or ``forged``, and why."""

    decisions: tuple[UUID, ...]
    effect: str
    why: str


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A claim to store under this id. ``approved_rewards`` is the count that selected its tier."""

    id: UUID
    claim: RewardClaim
    referrer: str | None
    approved_rewards: int


@dataclass(frozen=True, slots=True)
class Filed:
    """What the row says of its claim: which one, on how many facts it was assembled, and a hash of its rivals."""

    claim_id: UUID | None
    version: int
    rivals_seen: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What a verdict brings about beside the status.

    ``cancels`` is why the reservations are cancelled; None: they are not. ``takes_back_approval``: the parties are told
    that the approval no longer holds, if they were told of it. ``wakes`` are the referrals to be judged again.
    ``files`` is what the row says of its claim from now on; None: what it said.
    """

    noted: tuple[Noted, ...] = ()
    cancels: str | None = None
    takes_back_approval: bool = False
    stores: NewClaim | None = None
    wakes: tuple[str, ...] = ()
    files: Filed | None = None


NOTHING: Final = Consequences()


@dataclass(frozen=True, slots=True)
class Reminder:
    """The approvers of an overdue claim are reminded, without those who have ``signed``."""

    due: Patience
    signed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetAside:
    """There is nothing to judge, and nothing to wait for."""


@dataclass(frozen=True, slots=True)
class AwaitsBeginning:
    """The first fact takes effect at this time; before it there is nothing to judge."""

    begins_at: datetime


@dataclass(frozen=True, slots=True)
class StaysClosed:
    """It is closed, and this many facts came too late and matter. What came until the facts version ``upheld_at`` was
    answered by a person; None if nothing was. ``contested`` is the order for which it would not have closed."""

    late_facts: int
    upheld_at: int | None = None
    contested: str | None = None


@dataclass(frozen=True, slots=True)
class FollowsPayment:
    """Money was sent: what new facts bring about is decided in `after_payment`."""


@dataclass(frozen=True, slots=True)
class Asks:
    """A source has to be asked this question first."""

    question: Question
    moment: Moment


@dataclass(frozen=True, slots=True)
class StaysOpen:
    """It has this status, and goes on.

    ``claim`` is the one that the verdict is about, if it is about one. ``by_approvers``: its approvers have decided,
    so that it stood before them, if only for this moment.
    """

    status: ReferralStatus
    claim: RewardClaim | None = None
    its: Consequences = NOTHING
    by_approvers: bool = False
    reminder: Reminder | None = None


@dataclass(frozen=True, slots=True)
class Closes:
    """It closes without a reward. Whoever competes with it is judged again: who that is, is read when it is saved."""

    status: ReferralStatus
    reason: Reason | None
    claim: RewardClaim | None = None
    its: Consequences = NOTHING
    by_approvers: bool = False


@dataclass(frozen=True, slots=True)
class StaysReserved:
    """Its approval was reserved before. The legs that wait for a form or a method are looked at again, by the
    ``whereabouts`` of their payees."""

    status: ReferralStatus
    claim: RewardClaim
    whereabouts: Mapping[str, Whereabouts]
    its: Consequences = NOTHING
    by_approvers: bool = False


@dataclass(frozen=True, slots=True)
class IsApproved:
    """Enough people approved the claim. What that reserves is decided in `approving`, under further locks."""

    claim: RewardClaim
    its: Consequences = NOTHING
    by_approvers: bool = False


@dataclass(frozen=True, slots=True)
class Reserves:
    """The approved legs are reserved, by these ``approvals``.

    ``asks`` are the sides that must name a payment method. ``settled`` are the competing referrals, each with its
    claim's core digest: one approval settles their dispute, and from now on they count as they stood then.
    """

    claim: RewardClaim
    reservation: Reservation
    approvals: tuple[UUID, ...]
    asks: frozenset[Side]
    settled: Mapping[str, str | None] | None
    its: Consequences


#: The verdict on a referral's case.
OnCase = StaysOpen | Closes | StaysReserved | Reserves
Verdict = SetAside | AwaitsBeginning | StaysClosed | FollowsPayment | Asks | OnCase
