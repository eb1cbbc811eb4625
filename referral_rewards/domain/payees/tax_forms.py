"""Tax forms: which ones a regime accepts, how long each is valid, and which of a payee's forms is in force.

The form filed last is in force as soon as it is valid. It replaces every earlier one, even if the regime does not
accept it, so that no payee is paid on a replaced form. The order in which forms arrive does not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from referral_rewards.domain import money
from referral_rewards.domain.calendar import at_wall_clock, parse_day
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.payees import tax_thresholds

_REQUESTERS: Final = (
    "Instructions for the Requester of Forms W-8, period of validity (https://www.irs.gov/instructions/iw8): to the end"
    " of the third calendar year after the one in which it was signed. Some stay good for longer: file them anew"
)


class FormKind(NamedTuple):
    """A form that a regime accepts. It expires with the calendar year ``years_after`` its first one; None: never.

    ``foreign``: whoever files it declares that they are not one of the regime's own taxpayers.
    """

    name: str
    years_after: int | None
    source: str
    foreign: bool = False


#: By regime. W-8IMY is left out: the rules for an intermediary depend on the statements attached to it.
FORMS: Final[Mapping[str, tuple[FormKind, ...]]] = {
    "us": (
        FormKind("W-9", None, "Instructions for the Requester of Form W-9: good until something in it changes"),
        FormKind("W-8BEN", 3, _REQUESTERS, foreign=True),
        FormKind("W-8BEN-E", 3, _REQUESTERS, foreign=True),
        FormKind("W-8ECI", 3, _REQUESTERS, foreign=True),
        FormKind("W-8EXP", 3, _REQUESTERS, foreign=True),
    ),
}


class FormStanding(StrEnum):
    """The present validity of the form filed last."""

    IN_FORCE = "in_force"
    MISSING = "missing"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    NOT_TAKEN = "not_taken"  # none of the regime's forms
    UNREADABLE = "unreadable"  # recorded before its fields were checked, and they can't be relied on


@dataclass(frozen=True, slots=True)
class TaxForm:
    """A form as a payee filed it. ``valid_from`` is a day in the program's time zone; None: valid from filing.

    ``readable`` is False for a form that was recorded before its fields were checked and can't be relied on.
    """

    form: str
    filed_at: datetime
    source: str
    event_id: str
    valid_from: date | None
    withholding_percent: Decimal = Decimal(0)
    readable: bool = True

    @property
    def precedence(self) -> tuple[datetime, str, str]:
        """The sort key of forms; it does not depend on the order in which they arrived."""
        return (self.filed_at, self.source, self.event_id)

    def said_from(self, zone: ZoneInfo) -> datetime:
        """Return the first instant for which the form speaks by its own date, whenever it was filed."""
        return self.filed_at if self.valid_from is None else at_wall_clock(self.valid_from, time(), zone)

    def starts_at(self, zone: ZoneInfo) -> datetime:
        """Return when the form comes into force; never before it was filed."""
        return max(self.filed_at, self.said_from(zone))

    def ends_at(self, kind: FormKind, zone: ZoneInfo) -> datetime | None:
        """Return the first instant at which the form is no longer valid; None if it never expires."""
        if kind.years_after is None:
            return None
        first = self.valid_from or self.filed_at.astimezone(zone).date()
        return at_wall_clock(date(first.year + kind.years_after + 1, 1, 1), time(), zone)


@dataclass(frozen=True, slots=True)
class OnFile:
    """The form in force at a moment, its validity, and when it expires."""

    standing: FormStanding
    form: TaxForm | None = None
    until: datetime | None = None

    @property
    def clears(self) -> bool:
        return self.standing is FormStanding.IN_FORCE

    @property
    def withholding_percent(self) -> Decimal:
        """The percentage of each payment that is withheld under it."""
        return self.form.withholding_percent if self.clears and self.form is not None else Decimal(0)


def form_of(fact: Fact) -> TaxForm:
    """Return the form that a fact of the type ``payee.tax_form_filed`` reports."""
    return read(fact.data, fact.occurred_at, fact.source, fact.event_id)


def read(data: Mapping[str, Any], filed_at: datetime, source: str, event_id: str) -> TaxForm:
    """Read a form from its recorded data. Unreadable data makes the form unusable and is not an error."""
    first, percent = data.get("valid_from"), data.get("withholding_percent")
    try:
        return TaxForm(
            form=data["form"],
            filed_at=filed_at,
            source=source,
            event_id=event_id,
            valid_from=None if first is None else parse_day(first),
            withholding_percent=Decimal(0) if percent is None else money.parse_percent(percent),
        )
    except ValueError:
        return TaxForm(data["form"], filed_at, source, event_id, None, readable=False)


def on_file(forms: Iterable[TaxForm], regime: str, at: datetime, zone: ZoneInfo) -> OnFile:
    """Return the payee's form in force at that moment under the regime.

    Raises:
        KeyError: if the regime is unknown.
    """
    filed = sorted((each for each in forms if each.filed_at <= at), key=lambda form: form.precedence)
    return _standing(filed, [form for form in filed if form.starts_at(zone) <= at], regime, at, zone)


def on_file_by_date(forms: Iterable[TaxForm], regime: str, at: datetime, zone: ZoneInfo) -> OnFile:
    """Return the form that speaks for that moment by its own date, even if it was filed later. Nobody is paid on it.

    Raises:
        KeyError: if the regime is unknown.
    """
    filed = sorted(forms, key=lambda form: form.precedence)
    return _standing(filed, [form for form in filed if form.said_from(zone) <= at], regime, at, zone)


def kind_of(form: TaxForm, regime: str) -> FormKind | None:
    """Return which of the regime's forms it is; None if it is none of them.

    Raises:
        KeyError: if the regime is unknown.
    """
    return next((kind for kind in FORMS[regime] if _plain(kind.name) == _plain(form.form)), None)


def _standing(filed: Sequence[TaxForm], valid: Sequence[TaxForm], regime: str, at: datetime, zone: ZoneInfo) -> OnFile:
    """Return the standing of the last of the ``valid`` forms; both lists are in the order in which they were filed."""
    if not valid:
        return OnFile(FormStanding.NOT_YET_VALID, filed[-1]) if filed else OnFile(FormStanding.MISSING)
    form = valid[-1]
    kind = kind_of(form, regime)
    if not form.readable:
        return OnFile(FormStanding.UNREADABLE, form)
    if kind is None:
        return OnFile(FormStanding.NOT_TAKEN, form)
    ends_at = form.ends_at(kind, zone)
    if ends_at is not None and ends_at <= at:
        return OnFile(FormStanding.EXPIRED, form, ends_at)
    return OnFile(FormStanding.IN_FORCE, form, ends_at)


def next_start(forms: Iterable[TaxForm], after: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when the next form comes into force; None if none is still to come."""
    return min((start for form in forms if (start := form.starts_at(zone)) > after), default=None)


def released_at(forms: Iterable[TaxForm], now: datetime, zone: ZoneInfo) -> datetime:
    """Return when payees who filed these forms may next be paid without new facts: a form becomes valid, or the
    calendar year ends and their totals begin anew."""
    turns = tax_thresholds.year_begins(tax_thresholds.year_of(now, zone) + 1, zone)
    starts = next_start(forms, now, zone)
    return turns if starts is None else min(starts, turns)


def _plain(name: str) -> str:
    """Return a form's name for comparison: people write W-9, w9 and W 9."""
    return "".join(filter(str.isalnum, name)).upper()
