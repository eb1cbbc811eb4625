"""A simulation on a terminal: the figures of both runs, the flows between their outcomes, and what was assumed."""

from collections.abc import Iterator
from typing import Final

from rich.table import Table

from referral_rewards.cli.console import say, table, tables
from referral_rewards.domain.money import display
from referral_rewards.reporting.simulation.comparison import (
    Comparison,
    Cost,
    Flow,
    compare,
    conventions,
    difference,
    in_words,
)
from referral_rewards.reporting.simulation.outcomes import Compared, Outcome, Verdict
from referral_rewards.reporting.simulation.simulating import Proposal, Simulation

_BAR_CELLS: Final = 32
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"

_Row = tuple[str, str, str, str]


def print_simulation(simulation: Simulation, file: str) -> None:
    """Prints a simulation under the terms of that file."""
    proposal, found = simulation.proposal, compare(simulation.compared)
    begun = f" begun {proposal.period}" if proposal.period else ""
    changed = sum(each.changed for each in simulation.compared)
    say(f"{proposal.program}: {_referrals(found.referrals)}{begun}, under their own terms and under {file}")
    say(f"{_referrals(changed)} would have come to something else")
    if simulation.unbound:
        say(f"{_referrals(simulation.unbound)} left out: no terms of the program were in force when they began")
    say("")
    tables().print(_figures(proposal, found))
    if found.flows:
        say("From each outcome before to each outcome after:\n")
        for line in _flows(found):
            say(line)
    say("\nHow this was reckoned:")
    for line in conventions(proposal):
        say(f"- {line}")


def print_changed(simulation: Simulation) -> None:
    """Prints each referral that the terms make a difference to."""
    listed = table("referral", "before", "", "after", "", "difference")
    for each in simulation.compared:
        if each.changed:
            listed.add_row(each.referral, *_verdict(each.before), *_verdict(each.after), _difference(each))
    say("\nReferrals that would have come to something else:\n")
    tables().print(listed)


def _figures(proposal: Proposal, found: Comparison) -> Table:
    shown = table("", "before", "after", "difference")
    for column in shown.columns[1:]:
        column.justify = "right"
    groups = (list(_outcomes(found)), list(_flags(found)), list(_costs(proposal, found)))
    for group in groups:
        for row in group:
            shown.add_row(*row)
        shown.add_section()
    return shown


def _outcomes(found: Comparison) -> Iterator[_Row]:
    for outcome in Outcome:
        yield _counts(outcome.words, found.before.outcomes[outcome], found.after.outcomes[outcome])
        reasons = sorted(why for of, why in {*found.before.reasons, *found.after.reasons} if of is outcome)
        for why in reasons:
            yield _counts(f"  {why}", found.before.reasons[outcome, why], found.after.reasons[outcome, why])


def _flags(found: Comparison) -> Iterator[_Row]:
    for flag in sorted({*found.before.flags, *found.after.flags}):
        yield _counts(f"flagged {flag}", found.before.flags[flag], found.after.flags[flag])


def _costs(proposal: Proposal, found: Comparison) -> Iterator[_Row]:
    """What is approved, a side each, and beside it what was left to a person."""
    left = "advised against" if proposal.approve_flagged else "for a person"
    for currency in found.currencies:
        for side in ("referrer", "referee", "both"):
            name = "both sides" if side == "both" else side
            yield _amounts(f"cost, {name}", currency, found.before.cost, found.after.cost, side)
        for side in ("referrer", "referee", "both"):
            name = "both sides" if side == "both" else side
            yield _amounts(
                f"{left}, if approved, {name}", currency, found.before.if_approved, found.after.if_approved, side
            )


def _flows(found: Comparison) -> Iterator[str]:
    """A line a flow, its bar as long as its share of the largest; the outcome it leaves is said once."""
    names = max(len(outcome.words) for outcome in Outcome)
    digits, largest = len(str(found.referrals)), max(flow.referrals for flow in found.flows)
    said: Outcome | None = None
    for flow in found.flows:
        leaves = f"{flow.before.words:<{names}} {found.before.outcomes[flow.before]:>{digits}}"
        start = leaves if flow.before is not said else " " * len(leaves)
        said = flow.before
        bar = _bar(flow.referrals / largest)
        line = f"{start}  → {flow.after.words:<{names}} {flow.referrals:>{digits}}  {bar:<{_BAR_CELLS}}  {_money(flow)}"
        yield line.rstrip()


def _bar(share: float) -> str:
    """A bar to the eighth of a cell; the smallest share is still seen."""
    whole, rest = divmod(max(1, round(share * _BAR_CELLS * 8)), 8)
    return "█" * whole + _EIGHTHS[rest].strip()


def _money(flow: Flow) -> str:
    before, after = in_words(flow.cost_before), in_words(flow.cost_after)
    if not before and not after:
        return ""
    return before if before == after else f"{before or 'nothing'} → {after or 'nothing'}"


def _verdict(verdict: Verdict) -> tuple[str, str]:
    """The outcome with its reason or flags, and the amounts of referrer and referee."""
    amount = in_words({verdict.currency: verdict.amount_minor})
    if amount and not verdict.costs:
        amount += " if approved"
    return "\n".join(filter(None, [verdict.outcome.words, verdict.reason, *verdict.flags])), amount


def _difference(each: Compared) -> str:
    """How much more it costs; where it costs the same, how much more it would if a person approved it."""
    before, after = each.before, each.after
    cost = difference({before.currency: before.cost_minor}, {after.currency: after.cost_minor})
    if cost or before.costs or after.costs:
        return in_words(cost, signed=True)
    amount = difference({before.currency: before.amount_minor}, {after.currency: after.amount_minor})
    return f"{in_words(amount, signed=True)} if approved" if amount else ""


def _counts(name: str, before: int, after: int) -> _Row:
    return (name, str(before), str(after), f"{after - before:+}".replace("-", "−") if after != before else "0")


def _amounts(name: str, currency: str, before: Cost, after: Cost, side: str) -> _Row:
    one, other = (getattr(cost, side)[currency] for cost in (before, after))
    nothing = display(0, currency)
    return (
        name,
        in_words({currency: one}) or nothing,
        in_words({currency: other}) or nothing,
        in_words({currency: other - one}, signed=True) or nothing,
    )


def _referrals(count: int) -> str:
    return f"{count} {'referral' if count == 1 else 'referrals'}"
