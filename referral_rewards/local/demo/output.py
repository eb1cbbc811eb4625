"""Prints the demo's progress, one line per event, and its final table: what was expected, what is, and a reason."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from referral_rewards.local.demo.comparing import Difference, Found, legs
from referral_rewards.local.demo.script import Expectation


class Progress:
    """Prints events as whole lines, so that they read well in a log file and on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self._began

    def say(self, line: str) -> None:
        self.console.print(f"{self.seconds:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one referral; ``found`` is None if the referral does not exist."""

    referral: str
    expected: Expectation
    found: Found | None
    differences: Sequence[Difference]

    @property
    def right(self) -> bool:
        return self.found is not None and not self.differences


def show(console: Console, rows: Iterable[Row]) -> None:
    """Print rows with differences first, each with its differing fields. A table on a terminal, else plain lines."""
    ordered = sorted(rows, key=lambda row: row.right)
    if console.is_terminal:
        table = Table("", "referral", "expected", "found", "why", row_styles=["", "dim"], pad_edge=False)
        for row in ordered:
            table.add_row(_mark(row), row.referral, _expected(row.expected), _seen(row), row.expected.why)
        console.print(table, highlight=False)
    else:
        for row in ordered:
            cells = (_mark(row), row.referral, _expected(row.expected), _seen(row), row.expected.why)
            console.print(" | ".join(cells), markup=False, highlight=False, soft_wrap=True)
    for row in ordered:
        for each in row.differences:
            line = f"✗ {row.referral}: {each.field}: expected {each.expected}, found {each.found}"
            console.print(line, markup=False, highlight=False, soft_wrap=True, style="red")


def _mark(row: Row) -> str:
    return "✓" if row.right else "✗"


def _expected(expected: Expectation) -> str:
    told = [f"{role} {amount}" for role, _, amount in expected.legs]
    reason_after = expected.reason_after or (expected.reason if expected.after is expected.status else None)
    return _story(expected.status, expected.reason, told, expected.decision, expected.after, reason_after)


def _seen(row: Row) -> str:
    if row.found is None:
        return "nothing"
    before, after = row.found.before, row.found.after
    told = [
        f"{role} {amount}"
        for role, _, amount, _ in (leg.split() for leg in legs((before["claim"] or {}).get("legs", [])))
    ]
    return _story(before["status"], before["reason"], told, row.found.decided, after["status"], after["reason"])


def _story(
    status: str, reason: str | None, told: Sequence[str], decision: str, after: str, reason_after: str | None
) -> str:
    """Return the status before the decision, the decision, and the final status."""
    began = _stand(status, reason) + (f", {' + '.join(told)}" if told and status == "awaiting_approval" else "")
    if decision == "none" and (status, reason) == (after, reason_after):
        return began
    return f"{began} → {decision + ' → ' if decision != 'none' else ''}{_stand(after, reason_after)}"


def _stand(status: str, reason: str | None) -> str:
    return f"{status} ({reason})" if reason else str(status)
