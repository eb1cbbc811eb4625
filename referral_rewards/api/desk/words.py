"""How the desk writes values for people, and reads what people type into fields."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from referral_rewards.domain import calendar, instants
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.money import from_minor

_IN_BACKTICKS: Final = re.compile(r"(`+)(.+?)\1")


def money(amount_minor: int | None, currency: str | None) -> str:
    """``1,234.50 USD``, or a dash where there is no amount."""
    if amount_minor is None or currency is None:
        return "–"
    return f"{from_minor(amount_minor, currency):,} {currency}"


def when(moment: datetime | str | None, zone: str = "UTC") -> Markup:
    """``10 Jul 2026, 10:00 Toronto``-like: a ``time`` element to the minute in that zone, exact for machines."""
    if moment is None:
        return Markup("–")
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    local = at.astimezone(_zone(zone))
    said = f"{local.day} {local:%b %Y, %H:%M} {local.tzname() if zone != 'UTC' else 'UTC'}"
    exact = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, said)


def age(since: datetime, now: datetime) -> str:
    """How long ago that was, in the largest unit that fits: ``3 d``."""
    return instants.age(now - since)


def code(value: Any) -> str:
    """A code of ours as words: ``awaiting_approval`` is ``awaiting approval``."""
    return "–" if value is None else str(value).replace("_", " ")


def spoken(said: str) -> Markup:
    """A line of a description; what stands between backticks is code."""
    return Markup(_IN_BACKTICKS.sub(r"<code>\2</code>", str(escape(said))))  # noqa: S704 (escaped before)


def prose(said: str) -> Markup:
    """A description of several paragraphs, which blank lines part; other line ends are only how it was typed."""
    return Markup().join(Markup("<p>{}</p>").format(spoken(" ".join(each.split()))) for each in said.split("\n\n"))


def _zone(name: str) -> ZoneInfo:
    return calendar.zone(name)


#: What templates may write after a bar.
FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "money": money,
    "when": when,
    "age": age,
    "code": code,
    "spoken": spoken,
    "prose": prose,
}


def day_in(typed: str, field: str) -> date | None:
    """The day in a form's field; None if it was left empty.

    Raises:
        RequestInvalid: if it is no day.
    """
    if not typed.strip():
        return None
    try:
        return date.fromisoformat(typed.strip())
    except ValueError:
        raise RequestInvalid(f"{typed!r} is no day such as 2026-07-01", field) from None


def words_in(**typed: str) -> dict[str, str]:
    """What a list is searched by, by the names of its fields, as PostgreSQL takes it."""
    return {name: value.replace("\0", "").strip() for name, value in typed.items()}


def id_in(typed: str) -> UUID | None:
    """The place in a list that an address names; None, its beginning, for one that names none."""
    try:
        return UUID(typed) if typed else None
    except ValueError:
        return None
