"""The tax year report: each payee's payments in a calendar year by kind of reward, total, withheld and clawed back.

A payout counts in the year in which it settled, in its program's time zone, unless the provider returned it since. A
payee has a line for each currency, under the regime of the programs that paid. As in the decision whether a form is
needed, payments by programs without a regime count too.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import from_minor
from referral_rewards.domain.payees import tax_forms, tax_reporting, tax_thresholds
from referral_rewards.domain.payees.tax_forms import FormStanding
from referral_rewards.domain.payees.tax_reporting import Grounds, PayeeStatus, Reporting, YearOnFile
from referral_rewards.domain.payees.tax_thresholds import Threshold
from referral_rewards.domain.payouts.rail_catalogue import PROVIDERS
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.register import programs, typed_rows
from referral_rewards.register.payees import rows as payees
from referral_rewards.reporting.payees.filers import FILERS
from referral_rewards.reporting.shape import GivenId, Instant, Shape, as_text, csv_row


@dataclass(frozen=True, slots=True)
class PayeeYear:
    """A payee's year in one currency, in minor units: what was paid by kind of reward and over which rails.

    ``filed`` is what the payee's forms say of the year; None without a regime.
    """

    payee: str
    regime: str
    currency: str
    by_kind: Mapping[str, int]
    by_rail: Mapping[str, int]
    withheld_minor: int
    clawed_back_minor: int
    threshold: Threshold | None
    filed: YearOnFile | None

    @property
    def total_minor(self) -> int:
        return sum(self.by_kind.values())

    @property
    def payee_status(self) -> PayeeStatus:
        return self.filed.status if self.filed is not None else PayeeStatus.UNDECLARED

    @property
    def reporting(self) -> Reporting:
        return tax_reporting.reporting(self.total_minor, self.currency, self.threshold, self.payee_status)

    @property
    def reportable(self) -> bool | None:
        """Whether the year must be reported; None if a person has to find out."""
        return self.reporting.due

    @property
    def grounds(self) -> Grounds:
        """Why it must be reported, or not."""
        return self.reporting.grounds

    @property
    def others_file(self) -> tuple[str, ...]:
        """The rails used whose provider may file a form itself, sorted."""
        filers = FILERS
        return tuple(rail for rail in sorted(self.by_rail) if rail in PROVIDERS and filers[PROVIDERS[rail]].files)


class PaidInYear(Shape):
    """What a payee was paid in a calendar year in one currency, and what the report of the year says of it.

    Amounts are in minor units, before anything was withheld. `reportable` is null where a person has to find out, and
    `grounds` says why. `form` is the one that speaks for the end of the year, or for now if that is earlier; it and
    `payee_status` are null without a tax regime. `others_file` names the rails whose provider may file a form of its
    own for what it paid.
    """

    payee: GivenId
    regime: str
    currency: str
    by_kind: dict[RewardKind, int]
    by_rail: dict[str, int]
    total_minor: int
    threshold_minor: int | None
    reportable: bool | None
    grounds: Grounds
    payee_status: PayeeStatus | None
    form: str | None
    form_standing: FormStanding | None
    form_until: Instant | None
    withheld_minor: int
    clawed_back_minor: int
    others_file: tuple[str, ...]

    @classmethod
    def of(cls, year: PayeeYear) -> "PaidInYear":
        """Return the shape of a payee's year."""
        file = year.filed.on_file if year.filed is not None else None
        return cls(
            payee=year.payee,
            regime=year.regime,
            currency=year.currency,
            by_kind={RewardKind(kind): minor for kind, minor in year.by_kind.items()},
            by_rail=dict(year.by_rail),
            total_minor=year.total_minor,
            threshold_minor=year.threshold.minor if year.threshold is not None else None,
            reportable=year.reportable,
            grounds=year.grounds,
            payee_status=year.filed.status if year.filed is not None else None,
            form=file.form.form if file is not None and file.form is not None else None,
            form_standing=file.standing if file is not None else None,
            form_until=file.until if file is not None else None,
            withheld_minor=year.withheld_minor,
            clawed_back_minor=year.clawed_back_minor,
            others_file=year.others_file,
        )


async def paid_in(
    connection: AsyncConnection, year: int, now: datetime, *, regime: str | None = None, payee: str | None = None
) -> AsyncIterator[PayeeYear]:
    """Yield every payee who was paid in that year or from whom something was recovered, by payee and currency."""
    zones = await programs.zones(connection)
    asked = {**await payees.bounds(connection, year), "payee": payee}
    async for found in await connection.stream(_YEAR, asked):
        row = typed_rows.of(_Year, found)
        # Each regime that any of the paying programs reports to.
        for its in sorted({each for each in row.regimes if each != tax_thresholds.NO_REGIME}) or [
            tax_thresholds.NO_REGIME
        ]:
            if regime in (None, its):
                yield _line(row, its, year, zones[row.programs[0]], now)


@dataclass(frozen=True, slots=True)
class _Year:
    payee: str
    currency: str
    programs: tuple[str, ...]
    regimes: tuple[str, ...]
    by_kind: Mapping[str, int]
    by_rail: Mapping[str, int]
    withheld_minor: Decimal
    clawed_back_minor: Decimal
    forms: Sequence[Mapping[str, Any]]


def _line(row: _Year, regime: str, year: int, zone: ZoneInfo, now: datetime) -> PayeeYear:
    said = None
    if regime != tax_thresholds.NO_REGIME:
        filed = [
            tax_forms.read(each["data"], datetime.fromisoformat(each["at"]), each["source"], each["event"])
            for each in row.forms
        ]
        said = tax_reporting.of_year(filed, regime, year, zone, now)
    return PayeeYear(
        payee=row.payee,
        regime=regime,
        currency=row.currency,
        by_kind={kind: int(minor) for kind, minor in sorted(row.by_kind.items())},
        by_rail={rail: int(minor) for rail, minor in sorted(row.by_rail.items())},
        withheld_minor=int(row.withheld_minor),
        clawed_back_minor=int(row.clawed_back_minor),
        threshold=tax_thresholds.threshold(regime, year),
        filed=said,
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
    SELECT s.id, s.payee, l.currency, l.kind, l.rail, l.program, g.regime, l.amount_minor
    FROM settled s JOIN payout_leg pl ON pl.payout_id = s.id AND pl.live JOIN leg l ON l.id = pl.leg_id
    JOIN bound b ON b.program = l.program AND s.settled_at >= b.since AND s.settled_at < b.until
    JOIN referral r ON r.id = l.referral_id JOIN regime g ON g.program = r.program AND g.version = r.version
), kinds AS (
    SELECT payee, currency, json_object_agg(kind, minor) AS by_kind
    FROM (SELECT payee, currency, kind, sum(amount_minor) AS minor FROM paid GROUP BY payee, currency, kind) AS each
    GROUP BY payee, currency
), rails AS (
    SELECT payee, currency, json_object_agg(rail, minor) AS by_rail
    FROM (SELECT payee, currency, rail, sum(amount_minor) AS minor FROM paid GROUP BY payee, currency, rail) AS each
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
    UNION ALL
    -- What was returned of it did not come back after all.
    SELECT p.payee, p.currency, p.body->>'program', -p.amount_minor FROM payout p
    JOIN bound b ON b.program = p.body->>'program' AND p.settled_at >= b.since AND p.settled_at < b.until
    WHERE p.returns IS NOT NULL AND NOT p.dropped AND p.state = :settled
      AND p.settled_at >= CAST(:since AS timestamptz) AND p.settled_at < CAST(:until AS timestamptz)
      AND (CAST(:payee AS text) IS NULL OR p.payee = CAST(:payee AS text))
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
       coalesce(rails.by_rail, '{}') AS by_rail,
       coalesce(kept.minor, 0) AS withheld_minor, coalesce(had_back.minor, 0) AS clawed_back_minor,
       coalesce((
           SELECT json_agg(json_build_object('data', f.data, 'at', f.occurred_at, 'source', f.source,
                                             'event', f.event_id))
           FROM fact_key fk JOIN fact f ON f.id = fk.fact_id AND f.type = 'payee.tax_form_filed'
           WHERE fk.key = 'payee:' || w.payee
       ), '[]') AS forms
FROM somebody w LEFT JOIN kinds USING (payee, currency)
LEFT JOIN rails USING (payee, currency) LEFT JOIN kept USING (payee, currency)
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
    *("payee_status", "why", "rails", "others_file"),
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


async def report_as_json(
    connection: AsyncConnection, year: int, now: datetime, *, regime: str | None = None
) -> AsyncIterator[str]:
    """Yield the report of a calendar year in parts of one JSON object: ``year``, and ``payees`` as `PaidInYear`."""
    yield f'{{"year": {year}, "payees": ['
    between = ""
    async for each in paid_in(connection, year, now, regime=regime):
        yield between + PaidInYear.of(each).model_dump_json()
        between = ",\n"
    yield "]}\n"


def _sheet_line(each: PayeeYear) -> str:
    def amount(minor: int, currency: str = each.currency) -> str:
        return f"{from_minor(minor, currency):f}"

    file, limit = each.filed.on_file if each.filed else None, each.threshold
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
        label("payee_status", each.payee_status) if each.filed else "",
        label("tax_grounds", each.grounds),
        "; ".join(f"{rail} {amount(minor)}" for rail, minor in each.by_rail.items()),
        "; ".join(each.others_file),
    )


#: The regimes that terms may name.
Regime = StrEnum("Regime", {name.upper(): name for name in (tax_thresholds.NO_REGIME, *tax_thresholds.THRESHOLDS)})  # type: ignore[misc]
