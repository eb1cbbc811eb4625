"""Tax: from which yearly total on a payee must have filed a form before being paid (SPEC §7).

Thresholds are dated data with their source beside them. All kinds of reward to one payee in a calendar year count
together, in the currency of the regime.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Threshold(NamedTuple):
    """From the calendar year ``since`` on, a total of ``minor`` or more of ``currency`` needs a form."""

    since: int
    minor: int
    currency: str
    source: str


#: By regime, oldest first.
THRESHOLDS: Final[Mapping[str, tuple[Threshold, ...]]] = {
    "us": (
        Threshold(0, 600_00, "USD", "Form 1099 reporting for payments through 2025 (not verified with the IRS)"),
        Threshold(
            2026,
            2_000_00,
            "USD",
            "Form 1099 reporting for payments from 2026 (not verified with the IRS); indexed from 2027: enter it then",
        ),
    ),
}
#: A program that reports to no authority.
NO_REGIME: Final = "none"


def threshold(regime: str, year: int) -> Threshold | None:
    """The threshold in force in that calendar year, or None for a program without a regime.

    Raises:
        KeyError: if the regime is not known here. Nothing may be paid on a guess.
    """
    if regime == NO_REGIME:
        return None
    return max((t for t in THRESHOLDS[regime] if t.since <= year), key=lambda t: t.since)


def cleared(regime: str, year: int, total_minor_after: int, form_on_file: bool) -> bool:
    """Whether a payee may be paid up to that total in that year, in minor units of the regime's currency.

    Raises:
        KeyError: if the regime is not known here.
    """
    limit = threshold(regime, year)
    return limit is None or form_on_file or total_minor_after < limit.minor
