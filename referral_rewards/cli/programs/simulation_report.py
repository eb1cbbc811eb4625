"""A simulation on a terminal: the figures of both runs, the flows between their outcomes, and what was assumed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from referral_rewards.cli.console import say, table, tables
from referral_rewards.domain.money import display

if TYPE_CHECKING:
    from rich.table import Table

_BAR_CELLS: Final = 32
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_SIDES: Final = {"referrer_minor": "referrer", "referee_minor": "referee", "both_minor": "both sides"}

_Row = tuple[str, str, str, str]
_Shown = Mapping[str, Any]


def print_simulation(simulation: _Shown, file: str, since: str | None, until: str | None) -> None:
    """Prints a simulation, as the API shows it, under the terms of that file; the days are those of its period."""
    period = " and ".join(f"{word} {day}" for word, day in (("from", since), ("before", until)) if day)
    begun = f" begun {period}" if period else ""
    counted = _referrals(simulation["referrals"])
    say(f"{simulation['program']}: {counted}{begun}, under their own terms and under {file}")
    say(f"{_referrals(simulation['changed_referrals'])} would have come to something else")
    if left_out := simulation["without_terms"]:
        say(f"{_referrals(left_out)} left out: no terms of the program were in force when they began")
    say("")
    tables().print(_figures(simulation))
    if simulation["flows"]:
        say("From each outcome before to each outcome after:\n")
        for line in _flows(simulation):
            say(line)
    say("\nHow this was reckoned:")
    for line in simulation["conventions"]:
        say(f"- {line}")


def print_changed(simulation: _Shown) -> None:
    """Prints each referral that the terms make a difference to."""
    listed = table("referral", "before", "", "after", "", "difference")
    for each in simulation["changed"]:
        listed.add_row(each["referral"], *_verdict(each["before"]), *_verdict(each["after"]), _difference(each))
    say("\nReferrals that would have come to something else:\n")
    tables().print(listed)


def _figures(simulation: _Shown) -> "Table":
    shown = table("", "before", "after", "difference")
    for column in shown.columns[1:]:
        column.justify = "right"
    before, after = simulation["before"], simulation["after"]
    left = "advised against" if simulation["approve_flagged"] else "for a person"
    groups = (list(_outcomes(before, after)), list(_flags(before, after)), list(_costs(before, after, left)))
    for group in groups:
        for row in group:
            shown.add_row(*row)
        shown.add_section()
    return shown


def _outcomes(before: _Shown, after: _Shown) -> Iterator[_Row]:
    for outcome in before["outcomes"]:
        yield _counts(_words(outcome), before["outcomes"][outcome], after["outcomes"][outcome])
        had, has = (each["reasons"].get(outcome, {}) for each in (before, after))
        for why in sorted({*had, *has}):
            yield _counts(f"  {why}", had.get(why, 0), has.get(why, 0))


def _flags(before: _Shown, after: _Shown) -> Iterator[_Row]:
    for flag in sorted({*before["flags"], *after["flags"]}):
        yield _counts(f"flagged {flag}", before["flags"].get(flag, 0), after["flags"].get(flag, 0))


def _costs(before: _Shown, after: _Shown, left: str) -> Iterator[_Row]:
    """What is approved, a side each, and beside it what was left to a person."""
    tallies = [_by_currency(each[name]) for each in (before, after) for name in ("cost", "if_approved")]
    had, had_left, has, has_left = tallies
    for currency in sorted({currency for each in tallies for currency in each}):
        for side, name in _SIDES.items():
            yield _amounts(f"cost, {name}", currency, had, has, side)
        for side, name in _SIDES.items():
            yield _amounts(f"{left}, if approved, {name}", currency, had_left, has_left, side)


def _by_currency(costs: Sequence[_Shown]) -> dict[str, _Shown]:
    return {each["currency"]: each for each in costs}


def _flows(simulation: _Shown) -> Iterator[str]:
    """A line a flow, its bar as long as its share of the largest; the outcome it leaves is said once."""
    outcomes, flows = simulation["before"]["outcomes"], simulation["flows"]
    names = max(len(_words(outcome)) for outcome in outcomes)
    digits, largest = len(str(simulation["referrals"])), max(flow["referrals"] for flow in flows)
    said = None
    for flow in flows:
        before, after, count = flow["before"], flow["after"], flow["referrals"]
        leaves = f"{_words(before):<{names}} {outcomes[before]:>{digits}}"
        start = leaves if before != said else " " * len(leaves)
        said = before
        bar = f"{_bar(count / largest):<{_BAR_CELLS}}"
        yield f"{start}  → {_words(after):<{names}} {count:>{digits}}  {bar}  {_money(flow)}".rstrip()


def _bar(share: float) -> str:
    """A bar to the eighth of a cell; the smallest share is still seen."""
    whole, rest = divmod(max(1, round(share * _BAR_CELLS * 8)), 8)
    return "█" * whole + _EIGHTHS[rest].strip()


def _money(flow: _Shown) -> str:
    before, after = (
        _in_words({each["currency"]: each["minor"] for each in flow[name]}) for name in ("cost_before", "cost_after")
    )
    if not before and not after:
        return ""
    return before if before == after else f"{before or 'nothing'} → {after or 'nothing'}"


def _verdict(verdict: _Shown) -> tuple[str, str]:
    """The outcome with its reason or flags, and the amounts of referrer and referee."""
    amount = _in_words(_amount(verdict))
    if amount and not verdict["cost_minor"]:
        amount += " if approved"
    return "\n".join(filter(None, [_words(verdict["outcome"]), verdict["reason"], *verdict["flags"]])), amount


def _difference(each: _Shown) -> str:
    """How much more it costs; where it costs nothing either way, how much more it would if a person approved it."""
    before, after = each["before"], each["after"]
    if each["cost_difference"] or before["cost_minor"] or after["cost_minor"]:
        return _in_words({cost["currency"]: cost["minor"] for cost in each["cost_difference"]}, signed=True)
    amount = _in_words(_less(_amount(after), _amount(before)), signed=True)
    return f"{amount} if approved" if amount else ""


def _amount(verdict: _Shown) -> dict[str, int]:
    """What the reward of both sides comes to."""
    both = verdict["referrer_minor"] + verdict["referee_minor"]
    return {verdict["currency"]: both} if both else {}


def _less(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {each: one.get(each, 0) - other.get(each, 0) for each in {**one, **other}}


def _counts(name: str, before: int, after: int) -> _Row:
    return (name, str(before), str(after), f"{after - before:+}".replace("-", "−") if after != before else "0")


def _amounts(name: str, currency: str, before: Mapping[str, _Shown], after: Mapping[str, _Shown], side: str) -> _Row:
    one, other = (each[currency][side] if currency in each else 0 for each in (before, after))
    nothing = display(0, currency)
    return (
        name,
        _in_words({currency: one}) or nothing,
        _in_words({currency: other}) or nothing,
        _in_words({currency: other - one}, signed=True) or nothing,
    )


def _in_words(money: Mapping[str, int], *, signed: bool = False) -> str:
    """Amounts for people: ``80.00 USD``, with ``signed`` ``+80.00 USD``; nothing where there is none."""
    said = [(minor, display(minor, currency)) for currency, minor in sorted(money.items()) if minor]
    return ", ".join(f"+{told}" if signed and minor > 0 else told.replace("-", "−") for minor, told in said)


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")


def _referrals(count: int) -> str:
    return f"{count} {'referral' if count == 1 else 'referrals'}"
