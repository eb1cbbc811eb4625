"""What the year-end report makes of a payee's forms and payments."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from referral_rewards.domain.calendar import zone
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payees.tax_forms import FormStanding, TaxForm, form_of, on_file
from referral_rewards.domain.payees.tax_reporting import (
    Grounds,
    PayeeStatus,
    Reporting,
    of_year,
    reporting,
)
from referral_rewards.domain.payees.tax_thresholds import threshold, year_begins
from tests.domain.build import at, fact

UTC, NEW_YORK = zone("UTC"), zone("America/New_York")
LATER = at("2027-03-01")
P, S, G = PayeeStatus, FormStanding, Grounds


def filed(time: str, form: str = "W-9", event_id: str | None = None, **said: Any) -> TaxForm:
    return form_of(fact(FactType.TAX_FORM_FILED, time, {"payee": "dexter", "form": form, **said}, event_id=event_id))


YEARS = [
    ("nothing filed", [], P.UNDECLARED, S.MISSING),
    ("a W-9 of an earlier year", [filed("2024-05-01")], P.DOMESTIC, S.IN_FORCE),
    ("a W-8BEN within the year", [filed("2026-05-01", "W-8BEN")], P.FOREIGN, S.IN_FORCE),
    ("a W-8BEN-E written otherwise", [filed("2026-05-01", "w8ben-e")], P.FOREIGN, S.IN_FORCE),
    ("a W-8ECI", [filed("2026-05-01", "W-8ECI")], P.FOREIGN, S.IN_FORCE),
    ("a W-8EXP", [filed("2026-05-01", "W-8EXP")], P.FOREIGN, S.IN_FORCE),
    ("a W-8BEN in its last year", [filed("2023-05-01", "W-8BEN")], P.FOREIGN, S.IN_FORCE),
    ("a W-8BEN that expired before the year", [filed("2022-05-01", "W-8BEN")], P.UNDECLARED, S.EXPIRED),
    ("expired, and filed anew in the year", [filed("2022-05-01", "W-8BEN"), filed("2026-05-01", "W-8BEN")],
     P.CHANGED, S.IN_FORCE),
    ("filed anew for the whole year", [filed("2022-05-01", "W-8BEN"), filed("2026-05-01", "W-8BEN",
     valid_from="2026-01-01")], P.FOREIGN, S.IN_FORCE),
    ("from W-9 to W-8BEN within the year", [filed("2025-05-01"), filed("2026-05-01", "W-8BEN")], P.CHANGED, S.IN_FORCE),
    ("from W-8BEN to W-9 as the year begins", [filed("2025-05-01", "W-8BEN"), filed("2025-12-01",
     valid_from="2026-01-01")], P.DOMESTIC, S.IN_FORCE),
    ("from W-9 to W-8BEN as the next year begins", [filed("2025-05-01"), filed("2026-12-01", "W-8BEN",
     valid_from="2027-01-01")], P.DOMESTIC, S.IN_FORCE),
    ("a form that is none", [filed("2026-05-01", "DAC7")], P.UNDECLARED, S.NOT_TAKEN),
    ("a W-8BEN taken away by one that is none", [filed("2025-05-01", "W-8BEN"), filed("2026-05-01", "other")],
     P.CHANGED, S.NOT_TAKEN),
    ("one that is not valid yet", [filed("2026-05-01", valid_from="2027-01-01")], P.UNDECLARED, S.NOT_YET_VALID),
    ("filed after the year for the year", [filed("2027-01-15", "W-8BEN", valid_from="2026-06-01")],
     P.FOREIGN, S.IN_FORCE),
    ("filed after the year without a day", [filed("2027-01-15", "W-8BEN")], P.UNDECLARED, S.NOT_YET_VALID),
    ("filed after the year, replacing a W-9 for all of it", [filed("2025-05-01"), filed("2027-01-15", "W-8BEN",
     valid_from="2026-01-01")], P.FOREIGN, S.IN_FORCE),
    ("filed after the year, replacing a W-9 for a part", [filed("2025-05-01"), filed("2027-01-15", "W-8BEN",
     valid_from="2026-07-01")], P.CHANGED, S.IN_FORCE),
    ("filed after the report", [filed("2027-04-01", "W-8BEN", valid_from="2026-01-01")], P.UNDECLARED, S.MISSING),
]  # fmt: skip


@pytest.mark.parametrize(
    ("forms", "status", "standing"), [row[1:] for row in YEARS], ids=[str(row[0]) for row in YEARS]
)
def test_what_the_forms_say_of_a_year(forms: list[TaxForm], status: PayeeStatus, standing: FormStanding) -> None:
    for arrived in permutations(forms):
        found = of_year(arrived, "us", 2026, UTC, LATER)
        assert (found.status, found.on_file.standing) == (status, standing)


def test_before_its_end_a_year_is_told_as_of_now() -> None:
    forms = [filed("2025-05-01"), filed("2026-02-01", "W-8BEN", valid_from="2026-09-01")]
    first_day = at("2026-09-01T00:00:00")
    assert of_year(forms, "us", 2026, UTC, first_day - timedelta(microseconds=1)).status is P.DOMESTIC
    assert of_year(forms, "us", 2026, UTC, first_day).status is P.CHANGED


def test_the_year_is_that_of_the_programs_clock() -> None:
    late = [filed("2027-01-01T03:00:00", "W-8BEN")]
    assert of_year(late, "us", 2026, NEW_YORK, LATER).status is P.FOREIGN
    assert of_year(late, "us", 2026, UTC, LATER).status is P.UNDECLARED


def test_nobody_is_paid_on_a_form_that_was_filed_later() -> None:
    late = [filed("2027-01-15", valid_from="2026-06-01")]
    assert on_file(late, "us", year_begins(2027, UTC), UTC).standing is S.MISSING
    assert of_year(late, "us", 2026, UTC, LATER).on_file.clears


LIMIT = threshold("us", 2026)
TOTALS = [
    (1_999_99, "USD", P.DOMESTIC, Reporting(False, G.BELOW_THRESHOLD)),
    (2_000_00, "USD", P.DOMESTIC, Reporting(True, G.REACHES_THRESHOLD)),
    (1_999_99, "USD", P.UNDECLARED, Reporting(False, G.BELOW_THRESHOLD)),
    (2_000_00, "USD", P.UNDECLARED, Reporting(True, G.REACHES_THRESHOLD)),
    (1, "EUR", P.DOMESTIC, Reporting(None, G.ANOTHER_CURRENCY)),
    (1, "EUR", P.UNDECLARED, Reporting(None, G.ANOTHER_CURRENCY)),
    *((minor, currency, P.FOREIGN, Reporting(False, G.FOREIGN))
      for minor in (0, 1_999_99, 2_100_00) for currency in ("USD", "EUR")),
    *((minor, currency, P.CHANGED, Reporting(None, G.STATUS_CHANGED))
      for minor in (0, 1_999_99, 2_100_00) for currency in ("USD", "EUR")),
]  # fmt: skip


@pytest.mark.parametrize(("minor", "currency", "status", "expected"), TOTALS)
def test_what_of_a_year_is_reported(minor: int, currency: str, status: PayeeStatus, expected: Reporting) -> None:
    assert reporting(minor, currency, LIMIT, status) == expected
    assert reporting(minor, currency, None, status) == Reporting(False, G.NO_REGIME)
