"""Load what the tax rules need about payees: the forms they filed and the amounts that count in their year."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain import calendar
from referral_rewards.domain.claims.dossier import TaxPosition
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import OnFile, TaxForm
from referral_rewards.domain.payouts.states import OVER, PayoutState
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.register import programs

#: What `TOLD` reads of each form.
_FILED: Final = TypeAdapter(list[tuple[dict[str, Any], datetime, str, str, datetime]])
_UTC: Final = calendar.zone("UTC")


class Heard(NamedTuple):
    """A form that a payee filed, and when we received it."""

    form: TaxForm
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class _Filing:
    payee: str
    occurred_at: datetime
    received_at: datetime
    source: str
    event_id: str
    data: Mapping[str, Any]


_FILINGS: Final = TypeAdapter(tuple[_Filing, ...])


async def heard(connection: AsyncConnection, payees: Collection[str]) -> Mapping[str, Sequence[Heard]]:
    """Return every form that each payee filed, with when we received it, in no particular order."""
    return _heard(payees, await connection.execute(_FORMS, {"payees": sorted(payees)}))


def _heard(payees: Collection[str], rows: Iterable[_Filing | Row[Any]]) -> Mapping[str, Sequence[Heard]]:
    found: dict[str, list[Heard]] = {payee: [] for payee in payees}
    for row in rows:
        form = tax_forms.read(row.data, row.occurred_at, row.source, row.event_id)
        found[row.payee].append(Heard(form, row.received_at))
    return found


def filed(payees: Collection[str], documents: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[TaxForm]]:
    """Return the forms of `forms` from what a statement aggregated as JSON over `FORMS`."""
    return _forms(_heard(payees, _FILINGS.validate_python(documents)))


def _forms(told: Mapping[str, Sequence[Heard]]) -> Mapping[str, Sequence[TaxForm]]:
    return {payee: [each.form for each in its] for payee, its in told.items()}


def told(rows: Sequence[Any]) -> tuple[Heard, ...]:
    """Return the forms that a payee filed, in no particular order, from what a statement read by `TOLD`."""
    return tuple(
        Heard(tax_forms.read(data, occurred_at, source, event_id), received_at)
        for data, occurred_at, source, event_id, received_at in _FILED.validate_python(rows)
    )


async def regimes(connection: AsyncConnection) -> frozenset[str]:
    """Return the tax regimes that the terms of any program name."""
    return frozenset((await connection.execute(_REGIMES)).scalars())


async def forms(connection: AsyncConnection, payees: Collection[str]) -> Mapping[str, Sequence[TaxForm]]:
    """Return every form that each payee filed, in no particular order."""
    return _forms(await heard(connection, payees))


def taxed(terms: Terms, now: datetime) -> bool:
    """Return whether the program's regime has a threshold this year; without one nothing of a payee is read."""
    return tax_thresholds.threshold(terms.tax.regime, tax_thresholds.year_of(now, terms.zone)) is not None


async def positions(
    connection: AsyncConnection,
    payees: Collection[str],
    terms: Terms,
    now: datetime,
    *,
    besides: str | None = None,
    known: tuple[Mapping[str, Sequence[TaxForm]], Mapping[str, ZoneInfo]] | None = None,
) -> Mapping[str, TaxPosition]:
    """Return each payee's tax position in the program's current year, without the legs of the referral ``besides``.

    A payee without a form in force who is also paid in another currency than the regime's is left out, because such
    totals can't be added. For a payee with a form the total is not read, because it does not matter. ``known`` are the
    payees' forms and the programs' time zones, if the caller has read them.
    """
    regime, year = terms.tax.regime, tax_thresholds.year_of(now, terms.zone)
    limit = tax_thresholds.threshold(regime, year)
    if limit is None:
        return {payee: TaxPosition() for payee in payees}
    told, zones = known or (await forms(connection, payees), None)
    on_file = {payee: tax_forms.on_file(told[payee], regime, now, terms.zone) for payee in payees}
    asked = [payee for payee in payees if not on_file[payee].clears]
    counted = await totals(connection, asked, year, besides=besides, zones=zones) if asked else {}
    return {
        payee: _position(on_file[payee], counted.get(payee, {}), limit.currency)
        for payee in payees
        if on_file[payee].clears or not counted.get(payee, {}).keys() - {limit.currency}
    }


async def totals(
    connection: AsyncConnection,
    payees: Collection[str],
    year: int,
    *,
    besides: str | None = None,
    zones: Mapping[str, ZoneInfo] | None = None,
) -> Mapping[str, Mapping[str, int]]:
    """Return for each payee the total of a calendar year in minor units by currency: paid in it, or under way now.

    ``zones`` are the programs' time zones, if the caller has read them.
    """
    its_bounds = _bounds(year, await programs.zones(connection) if zones is None else zones)
    rows = await connection.execute(_TOTALS, {**its_bounds, "payees": sorted(payees), "besides": besides})
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[row.beneficiary][row.currency] = int(row.total_minor)
    return found


async def paid_by_program(connection: AsyncConnection, payee: str, year: int) -> list[tuple[str, str, int]]:
    """Return the amounts settled for a payee in a calendar year: program, currency and minor units."""
    rows = await connection.execute(_BY_PROGRAM, {**await bounds(connection, year), "payee": payee})
    return [(row.program, row.currency, int(row.total_minor)) for row in rows]


async def bounds(connection: AsyncConnection, year: int) -> Mapping[str, Any]:
    """Return a calendar year as SQL parameters.

    ``bounds`` is a JSON array with the year of each program in its own time zone; all lie between ``since`` and
    ``until``.
    """
    return _bounds(year, await programs.zones(connection))


def _bounds(year: int, zones: Mapping[str, ZoneInfo]) -> Mapping[str, Any]:
    years = {
        name: (tax_thresholds.year_begins(year, zone), tax_thresholds.year_begins(year + 1, zone))
        for name, zone in zones.items()
    }
    anywhere = years or {"": (tax_thresholds.year_begins(year, _UTC), tax_thresholds.year_begins(year + 1, _UTC))}
    return {
        "bounds": json.dumps([[name, *map(str, between)] for name, between in years.items()]),
        "since": min(since for since, _ in anywhere.values()),
        "until": max(until for _, until in anywhere.values()),
    }


async def terms_of(connection: AsyncConnection, legs: Collection[UUID]) -> Mapping[UUID, Terms]:
    """Return for each leg the frozen terms of its referral."""
    rows = (await connection.execute(_TERMS_OF, {"legs": list(legs)})).all()
    return {row.id: await programs.version(connection, row.program, row.version) for row in rows}


def _position(on_file: OnFile, counted: Mapping[str, int], currency: str) -> TaxPosition:
    return TaxPosition(counted.get(currency, 0), on_file.clears, on_file.withholding_percent)


#: The forms of payees, each with what `filed` reads.
FORMS: Final = """
SELECT p.payee, f.*
FROM unnest(CAST(:payees AS text[])) AS p(payee)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = 'payee:' || p.payee OFFSET 0) AS fk
CROSS JOIN LATERAL (
    SELECT occurred_at, received_at, source, event_id, data FROM fact
    WHERE id = fk.fact_id AND type = 'payee.tax_form_filed' OFFSET 0
) AS f
"""
_FORMS: Final = text(FORMS)

#: A list of the forms that the ``:payee`` filed, for `told`.
TOLD: Final = """(
    SELECT coalesce(json_agg(json_build_array(f.data, f.occurred_at, f.source, f.event_id, f.received_at)), '[]')
    FROM (SELECT fact_id FROM fact_key WHERE key = 'payee:' || :payee OFFSET 0) AS fk
    CROSS JOIN LATERAL (
        SELECT occurred_at, received_at, source, event_id, data FROM fact
        WHERE id = fk.fact_id AND type = 'payee.tax_form_filed' OFFSET 0
    ) AS f
)"""

_TERMS_OF: Final = text("""
SELECT l.id, r.program, r.version FROM leg l JOIN referral r ON r.id = l.referral_id
WHERE l.id = ANY(CAST(:legs AS uuid[]))
""")

_TOTALS: Final = text(
    spelled(
        """
WITH bound AS (
    SELECT b->>0 AS program, CAST(b->>1 AS timestamptz) AS since, CAST(b->>2 AS timestamptz) AS until
    FROM json_array_elements(CAST(:bounds AS json)) AS b
), counting AS (
    SELECT p.id, CAST(NULL AS timestamptz) AS settled_at
    FROM unnest(CAST(:payees AS text[])) AS asked(payee) JOIN payout p USING (payee)
    WHERE p.state NOT IN :over
    UNION ALL
    SELECT p.id, p.settled_at
    FROM unnest(CAST(:payees AS text[])) AS asked(payee) JOIN payout p USING (payee)
    WHERE p.state = :settled AND p.settled_at >= CAST(:since AS timestamptz)
      AND p.settled_at < CAST(:until AS timestamptz)
)
SELECT l.beneficiary, l.currency, sum(l.amount_minor) AS total_minor
FROM counting c JOIN payout_leg pl ON pl.payout_id = c.id AND pl.live
CROSS JOIN LATERAL (SELECT * FROM leg WHERE id = pl.leg_id OFFSET 0) AS l JOIN bound b ON b.program = l.program
WHERE (c.settled_at IS NULL OR (c.settled_at >= b.since AND c.settled_at < b.until))
  AND (CAST(:besides AS text) IS NULL OR l.referral_id <> :besides)
GROUP BY l.beneficiary, l.currency
""",
        over=OVER,
        settled=PayoutState.SETTLED,
    )
)

_BY_PROGRAM: Final = text(
    spelled(
        """
WITH bound AS (
    SELECT b->>0 AS program, CAST(b->>1 AS timestamptz) AS since, CAST(b->>2 AS timestamptz) AS until
    FROM json_array_elements(CAST(:bounds AS json)) AS b
)
SELECT l.program, l.currency, sum(l.amount_minor) AS total_minor
FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id AND pl.live JOIN leg l ON l.id = pl.leg_id
JOIN bound b ON b.program = l.program AND p.settled_at >= b.since AND p.settled_at < b.until
WHERE p.state = :settled AND p.payee = :payee AND p.settled_at >= CAST(:since AS timestamptz)
  AND p.settled_at < CAST(:until AS timestamptz)
GROUP BY l.program, l.currency ORDER BY l.program, l.currency
""",
        settled=PayoutState.SETTLED,
    )
)

_REGIMES: Final = text("SELECT DISTINCT terms->'tax'->>'regime' FROM program_version WHERE terms->'tax' ? 'regime'")
