"""The tax year report: each payee's payments in a calendar year by kind of reward, total, withheld and clawed back.

A payout counts in the year in which it settled, in its program's time zone, unless the provider returned it since. A
payee has a line for each currency, under the regime of the programs that paid. As in the decision whether a form is
needed, payments by programs without a regime count too.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.money import from_minor
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import OnFile
from referral_rewards.domain.payees.tax_thresholds import Threshold
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.register import programs
from referral_rewards.register.payees import rows as payees
from referral_rewards.reporting.shape import as_text, csv_row


@dataclass(frozen=True, slots=True)
class PayeeYear:
    """A payee's year in one currency, in minor units.

    ``reportable`` is None if the regime's threshold is in another currency. ``on_file`` is the form in force at the end
    of the year, or now if that is earlier; None without a regime.
    """

    payee: str
    regime: str
    currency: str
    by_kind: Mapping[str, int]
    withheld_minor: int
    clawed_back_minor: int
    threshold: Threshold | None
    on_file: OnFile | None

    @property
    def total_minor(self) -> int:
        return sum(self.by_kind.values())

    @property
    def reportable(self) -> bool | None:
        if self.threshold is None:
            return False
        return self.total_minor >= self.threshold.minor if self.threshold.currency == self.currency else None


async def paid_in(
    connection: AsyncConnection, year: int, now: datetime, *, regime: str | None = None, payee: str | None = None
) -> AsyncIterator[PayeeYear]:
    """Yield every payee who was paid in that year or from whom something was recovered, by payee and currency."""
    zones = await programs.zones(connection)
    asked = {**await payees.bounds(connection, year), "payee": payee}
    async for row in await connection.stream(_YEAR, asked):
        # Each regime that any of the paying programs reports to.
        for its in sorted({each for each in row.regimes if each != tax_thresholds.NO_REGIME}) or [
            tax_thresholds.NO_REGIME
        ]:
            if regime in (None, its):
                yield _line(row, its, year, zones[row.programs[0]], now)


def _line(row: Any, regime: str, year: int, zone: ZoneInfo, now: datetime) -> PayeeYear:
    on_file = None
    if regime != tax_thresholds.NO_REGIME:
        filed = [
            tax_forms.read(each["data"], datetime.fromisoformat(each["at"]), each["source"], each["event"])
            for each in row.forms
        ]
        last = tax_thresholds.year_begins(year + 1, zone) - timedelta(microseconds=1)
        on_file = tax_forms.on_file(filed, regime, min(now, last), zone)
    return PayeeYear(
        payee=row.payee,
        regime=regime,
        currency=row.currency,
        by_kind={kind: int(minor) for kind, minor in sorted(row.by_kind.items())},
        withheld_minor=int(row.withheld_minor),
        clawed_back_minor=int(row.clawed_back_minor),
        threshold=tax_thresholds.threshold(regime, year),
        on_file=on_file,
    )


# Recovered amounts come from the books: reversed by a rail, or kept from a payout. A returned payout undoes the latter.
_YEAR: Final = text(
    spelled(
        """
WITH bound AS (
    SELECT b->>0 AS program, CAST(b->>1 AS timestamptz) AS since, CAST(b->>2 AS timestamptz) AS until
    FROM json_array_elements(CAST(:bounds AS json)) AS b
), regime AS (
    SELECT program, version, terms->'tax'->>'regime' AS regime FROM program_version
), settled AS (
    SELECT id, payee, settled_at FROM payout
    WHERE state = :settled AND settled_at >= CAST(:since AS timestamptz) AND settled_at < CAST(:until AS timestamptz)
      AND (CAST(:payee AS text) IS NULL OR payee = :payee)
), paid AS (
    SELECT s.id, s.payee, l.currency, l.kind, l.program, g.regime, l.amount_minor
    FROM settled s JOIN payout_leg pl ON pl.payout_id = s.id AND pl.live JOIN leg l ON l.id = pl.leg_id
    JOIN bound b ON b.program = l.program AND s.settled_at >= b.since AND s.settled_at < b.until
    JOIN referral r ON r.id = l.referral_id JOIN regime g ON g.program = r.program AND g.version = r.version
), kinds AS (
    SELECT payee, currency, json_object_agg(kind, minor) AS by_kind
    FROM (SELECT payee, currency, kind, sum(amount_minor) AS minor FROM paid GROUP BY payee, currency, kind) AS each
    GROUP BY payee, currency
), kept AS (
    SELECT p.payee, p.currency, sum(d.amount_minor) AS minor
    FROM (SELECT DISTINCT id, payee, currency FROM paid) AS p JOIN payout_deduction d ON d.payout_id = p.id
    WHERE d.live AND d.kind = :withholding GROUP BY p.payee, p.currency
), back AS (
    SELECT substr(o.account, length('recoverable:') + 1) AS payee, o.currency, t.program, -sum(o.amount_minor) AS minor
    FROM ledger_transaction t JOIN posting o ON o.transaction_id = t.id
    JOIN bound b ON b.program = t.program AND t.posted_at >= b.since AND t.posted_at < b.until
    WHERE t.posted_at >= CAST(:since AS timestamptz) AND t.posted_at < CAST(:until AS timestamptz)
      AND o.account LIKE 'recoverable:%'
      AND (CAST(:payee AS text) IS NULL OR o.account = 'recoverable:' || CAST(:payee AS text))
      AND (t.key LIKE 'recovered:%' OR t.key LIKE 'settled:%' OR t.key LIKE 'returned:%')
    GROUP BY 1, o.currency, t.program
), had_back AS (
    SELECT payee, currency, sum(minor) AS minor FROM back GROUP BY payee, currency
), somebody AS (
    SELECT payee, currency, array_agg(DISTINCT program ORDER BY program) AS programs,
           array_agg(DISTINCT regime) AS regimes
    FROM (
        SELECT payee, currency, program, regime FROM paid
        UNION ALL
        SELECT payee, currency, program,
               (SELECT regime FROM regime WHERE program = back.program ORDER BY version DESC LIMIT 1)
        FROM back WHERE minor <> 0
    ) AS each GROUP BY payee, currency
)
SELECT w.payee, w.currency, w.programs, w.regimes, coalesce(kinds.by_kind, '{}') AS by_kind,
       coalesce(kept.minor, 0) AS withheld_minor, coalesce(had_back.minor, 0) AS clawed_back_minor,
       coalesce((
           SELECT json_agg(json_build_object('data', f.data, 'at', f.occurred_at, 'source', f.source,
                                             'event', f.event_id))
           FROM fact_key fk JOIN fact f ON f.id = fk.fact_id AND f.type = 'payee.tax_form_filed'
           WHERE fk.key = 'payee:' || w.payee
       ), '[]') AS forms
FROM somebody w LEFT JOIN kinds USING (payee, currency) LEFT JOIN kept USING (payee, currency)
LEFT JOIN had_back USING (payee, currency)
ORDER BY w.payee COLLATE "C", w.currency
""",
        settled=PayoutState.SETTLED,
        withholding=DeductionKind.WITHHOLDING,
    )
)


COLUMNS: Final = (
    *("payee", "regime", "currency"),
    *(kind.value for kind in RewardKind),
    *("total", "threshold", "reportable", "form", "form_state", "form_until", "withheld", "clawed_back"),
)
_ANSWERS: Final = {True: "yes", False: "no", None: "unknown"}


async def report(
    connection: AsyncConnection, year: int, now: datetime, *, regime: str | None = None
) -> AsyncIterator[str]:
    """Yield the report of a calendar year as CSV rows.

    Amounts are in major units; ``form_until`` is the first day on which the form is no longer valid, in UTC.
    """
    yield csv_row(*COLUMNS)
    async for each in paid_in(connection, year, now, regime=regime):
        yield _sheet_line(each)


def _sheet_line(each: PayeeYear) -> str:
    def amount(minor: int, currency: str = each.currency) -> str:
        return f"{from_minor(minor, currency):f}"

    file, limit = each.on_file, each.threshold
    return csv_row(
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


#: The regimes that terms may name.
Regime = StrEnum("Regime", {name.upper(): name for name in (tax_thresholds.NO_REGIME, *tax_thresholds.THRESHOLDS)})  # type: ignore[misc]
