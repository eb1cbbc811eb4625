"""Tax: the yearly total from which a payee must file a form before being paid, and what is withheld (SPEC §7).

Thresholds are dated data with their source beside them. All rewards of one payee count together, over all programs, in
the currency of the regime and in the calendar year of the payment. A leg counts in the year in which its payout
settled, by the clock of its program; one that is being paid counts in the current year. The full amount counts, even if
a part was withheld, offset against a clawback, or recovered later.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from referral_rewards.domain.calendar import at_wall_clock


class Threshold(NamedTuple):
    """From the calendar year ``since`` on, a total of ``minor`` or more in ``currency`` needs a form."""

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
    """Return the threshold in force in that calendar year, or None for a program without a regime.

    Raises:
        KeyError: if the regime is unknown. Nothing may be paid on a guess.
    """
    if regime == NO_REGIME:
        return None
    return max((t for t in THRESHOLDS[regime] if t.since <= year), key=lambda t: t.since)


def cleared(regime: str, year: int, total_minor_after: int, form_on_file: bool) -> bool:
    """Whether a payee may be paid up to that total in that year, in minor units of the regime's currency.

    Raises:
        KeyError: if the regime is unknown.
    """
    limit = threshold(regime, year)
    return limit is None or form_on_file or total_minor_after < limit.minor


def may_be_paid(
    regime: str, currency: str, year: int, *, form_on_file: bool, before_minor: int | None, amount_minor: int
) -> bool:
    """Whether a payee may be paid ``amount_minor`` more in that year. ``before_minor`` is the total so far, None if it
    is unknown. In another currency than the regime's nothing can be compared, so a form is needed.

    Raises:
        KeyError: if the regime is unknown.
    """
    limit = threshold(regime, year)
    if limit is None or form_on_file:
        return True
    if limit.currency != currency or before_minor is None:
        return False
    return cleared(regime, year, before_minor + amount_minor, form_on_file)


def year_of(at: datetime, zone: ZoneInfo) -> int:
    """Return the calendar year of a moment on a program's clock."""
    return at.astimezone(zone).year


def year_begins(year: int, zone: ZoneInfo) -> datetime:
    """Return the first instant of a calendar year in that time zone."""
    return at_wall_clock(date(year, 1, 1), time(), zone)


def withheld(gross_minor: int, percent: Decimal, step_minor: int) -> int:
    """Return the tax to withhold from a payment, rounded half-up to the rail's step and never more than the payment."""
    steps = Decimal(gross_minor) * percent / 100 / step_minor
    return min(gross_minor, int(steps.quantize(Decimal(1), rounding=ROUND_HALF_UP)) * step_minor)
