"""Go or no-go: what a pilot comes to, from its plan and from what was measured.

It fails closed. A reward that nobody verified does not hold; nothing paid proves nothing; a payment whose end is not
known leaves the pilot undecided; and who ends a pilot before it is measured ends it with a no.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self
from uuid import UUID

from referral_rewards.domain.labels.sentences import counted
from referral_rewards.domain.pilots.plan import ALL, Plan
from referral_rewards.domain.referrals.lifecycle import Side


class SixParts(StrEnum):
    """What each paid reward must hold (SPEC §8, ``referral_reward_eligibility_accuracy``)."""

    SOURCE_ATTRIBUTION = "source_attribution"
    QUALIFYING_EVENT = "qualifying_event"
    PROGRAM_TERMS = "program_terms"
    FRAUD_CONFLICT_CHECK = "fraud_conflict_check"
    PAYOUT_AMOUNT = "payout_amount"
    APPROVAL_RECORD = "approval_record"


class Go(StrEnum):
    """What a pilot comes to."""

    GO = "go"
    NO_GO = "no_go"
    UNDECIDED = "undecided"


class PaidReward(NamedTuple):
    """A reward that was paid in the pilot, in minor units of its currency."""

    referral: str
    role: Side
    kind: str
    amount_minor: int
    currency: str
    settled_at: datetime
    payout: UUID


class Verdict(NamedTuple):
    """Which of the six parts a paid reward does not hold, by recomputation from the evidence, and why, in sentences;
    none: it holds all. A referral that was exchanged has two rewards of a role, in two payouts."""

    referral: str
    role: Side
    payout: UUID
    parts_failing: tuple[SixParts, ...]
    findings: tuple[str, ...] = ()


class Checked(NamedTuple):
    """A paid reward, and the parts that it does not hold with the reasons; None: nobody verified it."""

    reward: PaidReward
    failing: tuple[SixParts, ...] | None
    findings: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.failing == ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the register says of a pilot now.

    ``over_at`` is when its cycle was done or its period was over; None while it runs. ``claims`` are those that count,
    of which ``waiting`` wait for approvers, and ``unpaid`` rewards are approved and not paid. ``moving`` are rewards
    whose payment was begun and has no certain end. A paid reward without one of the ``verdicts`` was not verified.
    ``given_up`` are rewards that were paid in it, whose payment came back and was then cancelled.
    """

    over_at: datetime | None
    claims: int
    waiting: int
    unpaid: int
    moving: int
    paid: Sequence[PaidReward]
    verdicts: Sequence[Verdict]
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, as it is shown and signed: the verdict, and of how many paid rewards how many hold."""

    verdict: Go
    paid: int
    accurate: int

    def details(self) -> dict[str, Any]:
        """Return it as it is signed; `of` reads it back."""
        return {"measured": self.verdict.value, "paid": self.paid, "accurate": self.accurate}

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Self:
        """Return what was signed."""
        return cls(Go(details["measured"]), details["paid"], details["accurate"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, each reason for it and each thing that is undecided in a sentence, and the paid rewards, those that
    do not hold first."""

    verdict: Go
    why: tuple[str, ...]
    undecided: tuple[str, ...]
    rewards: tuple[Checked, ...]

    @property
    def measured(self) -> Measured:
        return Measured(self.verdict, len(self.rewards), sum(each.holds for each in self.rewards))


def outcome(plan: Plan, found: Evidence) -> Outcome:
    """Return what a pilot comes to on this evidence."""
    rewards = _checked(found)
    against, undecided = tuple(_against(plan, found, rewards)), tuple(_undecided(found))
    if found.over_at is None or found.moving:
        return Outcome(Go.UNDECIDED, against, undecided, rewards)
    if against:
        return Outcome(Go.NO_GO, against, undecided, rewards)
    return Outcome(Go.GO, (_accuracy(plan, rewards),), undecided, rewards)


def ended_as(measured: Measured, *, as_measured: bool) -> Go:
    """Return how a pilot ends: with what was measured, else with a no. What is undecided is no go."""
    return Go.GO if as_measured and measured.verdict is Go.GO else Go.NO_GO


def _checked(found: Evidence) -> tuple[Checked, ...]:
    known = {(each.referral, each.role, each.payout): each for each in found.verdicts}
    checked = [_with(each, known.get((each.referral, each.role, each.payout))) for each in found.paid]
    return tuple(sorted(checked, key=lambda each: (each.holds, each.reward.referral, each.reward.role)))


def _with(reward: PaidReward, verdict: Verdict | None) -> Checked:
    return Checked(reward, None) if verdict is None else Checked(reward, verdict.parts_failing, verdict.findings)


def _against(plan: Plan, found: Evidence, rewards: Sequence[Checked]) -> Iterator[str]:
    """Yield what speaks against a go."""
    unverified = sum(each.failing is None for each in rewards)
    if not rewards:
        yield "No reward was paid, so nothing is proven."
    elif _is_below(plan, rewards):
        yield _accuracy(plan, rewards)
    if unverified:
        yield f"{counted(unverified, 'paid reward')} {'was' if unverified == 1 else 'were'} not verified."
    if found.given_up:
        # Else a reward that was wrong could be taken out of the measure by having its payment come back.
        many, were = counted(found.given_up, "reward"), "was" if found.given_up == 1 else "were"
        yield f"{many} {were} paid, came back and {were} given up, so that can't be measured."
    first = plan.sample.first
    if first is not None and found.claims < first:
        yield f"Only {found.claims} of the {counted(first, 'claim')} that were promised came."


def _undecided(found: Evidence) -> Iterator[str]:
    if found.over_at is None:
        yield "The pilot still runs."
    if found.waiting:
        yield f"{counted(found.waiting, 'claim')} {_wait(found.waiting)} for approvers."
    if found.unpaid:
        yield f"{counted(found.unpaid, 'approved reward')} {'is' if found.unpaid == 1 else 'are'} not paid yet."
    if found.moving:
        yield f"The payment of {counted(found.moving, 'reward')} was begun and has no certain end yet."


def _is_below(plan: Plan, rewards: Sequence[Checked]) -> bool:
    return sum(each.holds for each in rewards) * 100 < plan.threshold * len(rewards)


def _accuracy(plan: Plan, rewards: Sequence[Checked]) -> str:
    holding, of = sum(each.holds for each in rewards), counted(len(rewards), "paid reward")
    least = "all were promised" if plan.threshold == ALL else f"at least {plan.threshold} % were promised"
    return f"{holding} of {of} {'holds' if holding == 1 else 'hold'} all six parts; {least}."


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"
