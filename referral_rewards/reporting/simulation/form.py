"""A simulation in the form of ``referrals simulate --json``."""

from collections.abc import Mapping
from typing import Any

from referral_rewards.reporting.plain_values import instant
from referral_rewards.reporting.simulation.comparison import Cost, Flow, Tally, compare, conventions, difference
from referral_rewards.reporting.simulation.outcomes import Compared, Outcome, Verdict
from referral_rewards.reporting.simulation.simulating import Simulation


def simulation_form(simulation: Simulation, *, changed: bool) -> dict[str, Any]:
    """The simulation as a JSON value; with ``changed`` every referral that the terms made a difference to."""
    proposal, found = simulation.proposal, compare(simulation.compared)
    listed = [each for each in simulation.compared if each.changed]
    return {
        "program": proposal.program,
        "at": instant(proposal.now),
        "since": instant(proposal.since),
        "until": instant(proposal.until),
        "approve_flagged": proposal.approve_flagged,
        "conventions": conventions(proposal),
        "referrals": len(simulation.compared),
        "without_terms": simulation.unbound,
        "before": _tally(found.before),
        "after": _tally(found.after),
        "flows": [_flow(each) for each in found.flows],
        "changed_referrals": len(listed),
        **({"changed": [_compared(each) for each in listed]} if changed else {}),
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "outcomes": {outcome.value: tally.outcomes[outcome] for outcome in Outcome},
        "reasons": {
            outcome.value: {why: count for (of, why), count in sorted(tally.reasons.items()) if of is outcome}
            for outcome in (Outcome.DENIED, Outcome.EXPIRED)
        },
        "flags": dict(sorted(tally.flags.items())),
        "cost": _cost(tally.cost),
        "if_approved": _cost(tally.if_approved),
    }


def _cost(cost: Cost) -> list[dict[str, Any]]:
    return [
        {
            "currency": currency,
            "referrer_minor": cost.referrer[currency],
            "referee_minor": cost.referee[currency],
            "both_minor": both_minor,
        }
        for currency, both_minor in sorted(cost.both.items())
    ]


def _flow(flow: Flow) -> dict[str, Any]:
    return {
        "before": flow.before.value,
        "after": flow.after.value,
        "referrals": flow.referrals,
        "cost_before": _money(flow.cost_before),
        "cost_after": _money(flow.cost_after),
    }


def _money(money: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"currency": currency, "minor": minor} for currency, minor in sorted(money.items()) if minor]


def _compared(each: Compared) -> dict[str, Any]:
    before, after = each.before, each.after
    cost = difference({before.currency: before.cost_minor}, {after.currency: after.cost_minor})
    return {
        "referral": each.referral,
        "before": _verdict(before),
        "after": _verdict(after),
        "cost_difference": _money(cost),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "flags": list(verdict.flags),
        "referrer_minor": verdict.referrer_minor,
        "referee_minor": verdict.referee_minor,
        "currency": verdict.currency or None,
        "cost_minor": verdict.cost_minor,
    }
