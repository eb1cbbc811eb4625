"""The year-end report as a sheet: one line for each payee and currency, in CSV."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.money import from_minor
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.reporting.csv_lines import as_text, row
from referral_rewards.reporting.payees.year import PaidInYear, paid_in

COLUMNS: Final = (
    *("payee", "regime", "currency"),
    *(kind.value for kind in RewardKind),
    *("total", "threshold", "reportable", "form", "form_state", "form_until", "withheld", "clawed_back"),
)
_ANSWERS: Final = {True: "yes", False: "no", None: "unknown"}


async def report(
    connection: AsyncConnection, year: int, now: datetime, *, regime: str | None = None
) -> AsyncIterator[str]:
    """The report of a calendar year, written as it is read. Amounts are in major units; ``form_until`` is the first day
    on which the form is good no more, in UTC."""
    yield row(*COLUMNS)
    async for each in paid_in(connection, year, now, regime=regime):
        yield _line(each)


def _line(each: PaidInYear) -> str:
    def amount(minor: int, currency: str = each.currency) -> str:
        return f"{from_minor(minor, currency):f}"

    file, limit = each.on_file, each.threshold
    return row(
        as_text(each.payee),
        each.regime,
        each.currency,
        *(amount(each.by_kind.get(kind, 0)) for kind in RewardKind),
        amount(each.total_minor),
        f"{amount(limit.minor, limit.currency)} {limit.currency}" if limit else "",
        _ANSWERS[each.reportable],
        as_text(file.form.form) if file and file.form else "",
        file.standing.value if file else "",
        file.until.date().isoformat() if file and file.until else "",
        amount(each.withheld_minor),
        amount(each.clawed_back_minor),
    )
