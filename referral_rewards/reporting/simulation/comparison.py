"""Compare the two runs of a simulation: their figures, and the flows between their outcomes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from referral_rewards.domain.money import display
from referral_rewards.reporting.simulation.outcomes import Compared, Outcome, Verdict
from referral_rewards.reporting.simulation.simulating import Proposal

#: Minor units by currency; amounts in different currencies are never added.
Money = Counter[str]


@dataclass(slots=True)
class Cost:
    """The total cost of rewards, for each side."""

    referrer: Money = field(default_factory=Counter)
    referee: Money = field(default_factory=Counter)

    @property
    def both(self) -> Money:
        """The total of both sides."""
        return self.referrer + self.referee

    def add(self, verdict: Verdict) -> None:
        """Add the reward of one referral."""
        if verdict.amount_minor:
            self.referrer[verdict.currency] += verdict.referrer_minor
            self.referee[verdict.currency] += verdict.referee_minor


@dataclass(slots=True)
class Tally:
    """The figures of one run. ``cost`` is for approved rewards, ``if_approved`` for those left to a person."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[tuple[Outcome, str]] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    cost: Cost = field(default_factory=Cost)
    cost_of: defaultdict[Outcome, Cost] = field(default_factory=lambda: defaultdict(Cost))
    if_approved: Cost = field(default_factory=Cost)

    def add(self, verdict: Verdict) -> None:
        """Add one referral. One with several flags counts for each flag."""
        self.outcomes[verdict.outcome] += 1
        if verdict.reason is not None:
            self.reasons[verdict.outcome, verdict.reason] += 1
        self.flags.update(verdict.flags)
        if verdict.costs:
            self.cost.add(verdict)
            self.cost_of[verdict.outcome].add(verdict)
        else:
            self.if_approved.add(verdict)


@dataclass(slots=True)
class Flow:
    """The referrals with one outcome before and one after, and their cost in each run."""

    before: Outcome
    after: Outcome
    referrals: int = 0
    cost_before: Money = field(default_factory=Counter)
    cost_after: Money = field(default_factory=Counter)

    @property
    def stays(self) -> bool:
        """Whether the outcome is the same in both runs."""
        return self.before is self.after


@dataclass(frozen=True, slots=True)
class Comparison:
    """The figures before and after, and the flows between them in the order of outcomes."""

    before: Tally
    after: Tally
    flows: tuple[Flow, ...]

    @property
    def referrals(self) -> int:
        """The number of compared referrals."""
        return self.before.outcomes.total()

    @property
    def currencies(self) -> tuple[str, ...]:
        """Every currency with an actual or possible cost."""
        costs = [cost for tally in (self.before, self.after) for cost in (tally.cost, tally.if_approved)]
        return tuple(sorted({currency for cost in costs for currency in cost.both}))


def compare(compared: Iterable[Compared]) -> Comparison:
    """Return the comparison of these referrals."""
    before, after, flows = Tally(), Tally(), {(b, a): Flow(b, a) for b in Outcome for a in Outcome}
    for each in compared:
        before.add(each.before)
        after.add(each.after)
        flow = flows[each.before.outcome, each.after.outcome]
        flow.referrals += 1
        flow.cost_before[each.before.currency] += each.before.cost_minor
        flow.cost_after[each.after.currency] += each.after.cost_minor
    return Comparison(before, after, tuple(flow for flow in flows.values() if flow.referrals))


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Return ``after`` minus ``before``, by currency, without zeros."""
    currencies = sorted({*before, *after})
    found = {currency: after.get(currency, 0) - before.get(currency, 0) for currency in currencies}
    return {currency: minor for currency, minor in found.items() if minor}


def in_words(money: Mapping[str, int], *, signed: bool = False) -> str:
    """Return amounts for display: ``80.00 USD``, with ``signed`` ``+80.00 USD``; empty if there are none."""
    said = [(minor, display(minor, currency)) for currency, minor in sorted(money.items()) if minor]
    return ", ".join(f"+{told}" if signed and minor > 0 else told.replace("-", "−") for minor, told in said)


def conventions(proposal: Proposal) -> list[str]:
    """Return the assumptions of the simulation, a sentence or two each."""
    said = [
        "Each claim is judged at the moment at which it came before its approver, on what had happened by then: a"
        " refund after that, or a payment method set after it, is not seen.",
        _APPROVING_FLAGGED if proposal.approve_flagged else _LEAVING_FLAGGED,
        "Sources are asked nothing: every conversion on record counts as confirmed. Decisions of people are not"
        " replayed, and rewards of other programs count as they stand today.",
        "The new terms hold for every referral of the period, whatever day they name as effective_from.",
    ]
    if proposal.since is not None:
        said.append(
            "Referrals that began before the period are replayed under their own terms in both runs, for what they"
            " take of caps, tiers and budget; they are in no figure."
        )
    return said


_LEAVING_FLAGGED = (
    "What the rules recommend to approve counts as approved at once. What they flag counts as for a person: its amount"
    " is told as if approved, and it takes nothing of caps, tiers and budget."
)
_APPROVING_FLAGGED = (
    "What the rules recommend to approve counts as approved at once, and so does what they flag without advising"
    " against it: it costs, and takes its part of caps, tiers and budget."
)
