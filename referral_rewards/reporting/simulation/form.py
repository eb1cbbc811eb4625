"""The output of ``referrals simulate --json``: amounts in minor units, by currency."""

from collections.abc import Mapping

from referral_rewards.reporting.shape import Instant, Shape
from referral_rewards.reporting.simulation.comparison import Cost, Flow, Tally, compare, conventions, difference
from referral_rewards.reporting.simulation.outcomes import Compared, Outcome, Verdict
from referral_rewards.reporting.simulation.simulating import Simulation


class Amount(Shape):
    """An amount in one currency."""

    currency: str
    minor: int


class CostShown(Shape):
    """The cost of rewards in one currency: for each side, and the total."""

    currency: str
    referrer_minor: int
    referee_minor: int
    both_minor: int


class RunShown(Shape):
    """The figures of one run: ``reasons`` of denied and expired referrals, and of any others that have one; ``cost`` of
    approved rewards, ``if_approved`` of those left to a person."""

    outcomes: dict[Outcome, int]
    reasons: dict[Outcome, dict[str, int]]
    flags: dict[str, int]
    cost: tuple[CostShown, ...]
    if_approved: tuple[CostShown, ...]


class FlowShown(Shape):
    """The referrals with one outcome before and one after, and their cost in each run."""

    before: Outcome
    after: Outcome
    referrals: int
    cost_before: tuple[Amount, ...]
    cost_after: tuple[Amount, ...]


class VerdictShown(Shape):
    """The outcome of a referral in one run, and its cost."""

    outcome: Outcome
    reason: str | None
    flags: tuple[str, ...]
    referrer_minor: int
    referee_minor: int
    currency: str | None
    cost_minor: int


class ComparedShown(Shape):
    """One referral before and after, and the difference in cost."""

    referral: str
    before: VerdictShown
    after: VerdictShown
    cost_difference: tuple[Amount, ...]


class SimulationShown(Shape):
    """Both runs and the flows between them; ``without_terms`` counts the referrals to which no terms apply."""

    program: str
    at: Instant
    since: Instant | None
    until: Instant | None
    approve_flagged: bool
    conventions: tuple[str, ...]
    referrals: int
    without_terms: int
    before: RunShown
    after: RunShown
    flows: tuple[FlowShown, ...]
    changed_referrals: int


class SimulationWithReferrals(SimulationShown):
    """A simulation with every referral whose outcome the new terms change."""

    changed: tuple[ComparedShown, ...]


def simulation_form(simulation: Simulation, *, changed: bool) -> SimulationShown:
    """Return the simulation for output; with ``changed`` it lists every referral that the new terms change."""
    proposal, found = simulation.proposal, compare(simulation.compared)
    listed = [each for each in simulation.compared if each.changed]
    shown = SimulationShown(
        program=proposal.program,
        at=proposal.now,
        since=proposal.since,
        until=proposal.until,
        approve_flagged=proposal.approve_flagged,
        conventions=tuple(conventions(proposal)),
        referrals=len(simulation.compared),
        without_terms=simulation.unbound,
        before=_run(found.before),
        after=_run(found.after),
        flows=tuple(_flow(each) for each in found.flows),
        changed_referrals=len(listed),
    )
    return SimulationWithReferrals(**dict(shown), changed=tuple(map(_compared, listed))) if changed else shown


def _run(tally: Tally) -> RunShown:
    return RunShown(
        outcomes={outcome: tally.outcomes[outcome] for outcome in Outcome},
        reasons={
            outcome: {why: count for (of, why), count in sorted(tally.reasons.items()) if of is outcome}
            for outcome in Outcome
            if outcome in (Outcome.DENIED, Outcome.EXPIRED) or any(of is outcome for of, _ in tally.reasons)
        },
        flags=dict(sorted(tally.flags.items())),
        cost=_cost(tally.cost),
        if_approved=_cost(tally.if_approved),
    )


def _cost(cost: Cost) -> tuple[CostShown, ...]:
    return tuple(
        CostShown(
            currency=currency,
            referrer_minor=cost.referrer[currency],
            referee_minor=cost.referee[currency],
            both_minor=both_minor,
        )
        for currency, both_minor in sorted(cost.both.items())
    )


def _flow(flow: Flow) -> FlowShown:
    return FlowShown(
        before=flow.before,
        after=flow.after,
        referrals=flow.referrals,
        cost_before=_money(flow.cost_before),
        cost_after=_money(flow.cost_after),
    )


def _money(money: Mapping[str, int]) -> tuple[Amount, ...]:
    return tuple(Amount(currency=currency, minor=minor) for currency, minor in sorted(money.items()) if minor)


def _compared(each: Compared) -> ComparedShown:
    before, after = each.before, each.after
    cost = difference({before.currency: before.cost_minor}, {after.currency: after.cost_minor})
    return ComparedShown(
        referral=each.referral, before=_verdict(before), after=_verdict(after), cost_difference=_money(cost)
    )


def _verdict(verdict: Verdict) -> VerdictShown:
    return VerdictShown(
        outcome=verdict.outcome,
        reason=verdict.reason,
        flags=verdict.flags,
        referrer_minor=verdict.referrer_minor,
        referee_minor=verdict.referee_minor,
        currency=verdict.currency or None,
        cost_minor=verdict.cost_minor,
    )
