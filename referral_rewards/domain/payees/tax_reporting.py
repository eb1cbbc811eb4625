"""The year-end report: must a payee's payments be reported, and why (not)?

It is made after the year, so that the forms count by their own dates: one that was filed late speaks for the year from
the day on that it names. The decision whether somebody may be *paid* never rests on a form that was not there yet
(`tax_forms.on_file`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import FormStanding, OnFile, TaxForm
from referral_rewards.domain.payees.tax_thresholds import Threshold


class PayeeStatus(StrEnum):
    """What the forms say of a payee over a year."""

    DOMESTIC = "domestic"
    FOREIGN = "foreign"
    CHANGED = "changed"  # different forms, or none that counts, in different parts of the year
    UNDECLARED = "undeclared"  # no form says


class Grounds(StrEnum):
    """Why a payee's year is reportable, is not, or is for a person to look at."""

    REACHES_THRESHOLD = "reaches_threshold"
    BELOW_THRESHOLD = "below_threshold"
    NO_REGIME = "no_regime"
    FOREIGN = "foreign"
    STATUS_CHANGED = "status_changed"
    ANOTHER_CURRENCY = "another_currency"


class Reporting(NamedTuple):
    """Whether a payee's year must be reported, and why; ``due`` is None if a person has to find out."""

    due: bool | None
    grounds: Grounds


@dataclass(frozen=True, slots=True)
class YearOnFile:
    """The form that speaks for the end of the year (now, if that is earlier), and the payee's status over the year."""

    on_file: OnFile
    status: PayeeStatus


def of_year(forms: Iterable[TaxForm], regime: str, year: int, zone: ZoneInfo, now: datetime) -> YearOnFile:
    """Return what the forms known by ``now`` say of a payee over that year, in whatever order they arrived.

    Raises:
        KeyError: if the regime is unknown.
    """
    known = [form for form in forms if form.filed_at <= now]
    begins = tax_thresholds.year_begins(year, zone)
    ends = min(now, tax_thresholds.year_begins(year + 1, zone) - timedelta(microseconds=1))
    # What a form says can only change as one begins; and one expires as a year begins.
    moments = {begins, ends, *(start for form in known if begins < (start := form.said_from(zone)) <= ends)}
    said = {_status(tax_forms.on_file_by_date(known, regime, at, zone), regime) for at in moments if at <= ends}
    said -= {None}
    status = PayeeStatus.CHANGED if len(said) > 1 else next(iter(said), None) or PayeeStatus.UNDECLARED
    return YearOnFile(tax_forms.on_file_by_date(known, regime, ends, zone), status)


def _status(on_file: OnFile, regime: str) -> PayeeStatus | None:
    """Return what the form says; None before the first one, because a form speaks for what was paid before it too."""
    if on_file.standing in (FormStanding.MISSING, FormStanding.NOT_YET_VALID):
        return None
    kind = tax_forms.kind_of(on_file.form, regime) if on_file.clears and on_file.form is not None else None
    if kind is None:
        return PayeeStatus.UNDECLARED
    return PayeeStatus.FOREIGN if kind.foreign else PayeeStatus.DOMESTIC


def reporting(total_minor: int, currency: str, limit: Threshold | None, status: PayeeStatus) -> Reporting:
    """Return whether a total in ``currency`` must be reported. ``limit`` is None without a regime.

    A payee who is foreign by the forms is never reported as one of the regime's own, whatever was paid: a form of
    another kind may be due for them.
    """
    if limit is None:
        return Reporting(False, Grounds.NO_REGIME)
    if status is PayeeStatus.FOREIGN:
        return Reporting(False, Grounds.FOREIGN)
    if status is PayeeStatus.CHANGED:
        return Reporting(None, Grounds.STATUS_CHANGED)
    if limit.currency != currency:
        return Reporting(None, Grounds.ANOTHER_CURRENCY)
    if total_minor >= limit.minor:
        return Reporting(True, Grounds.REACHES_THRESHOLD)
    return Reporting(False, Grounds.BELOW_THRESHOLD)
