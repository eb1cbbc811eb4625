"""What stands in a cell, read as its mapping says: times with an offset, amounts as decimals."""

import re
import unicodedata
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from referral_rewards.domain import calendar, money
from referral_rewards.domain.imports.mapping import As, Said, ToolMapping
from referral_rewards.domain.imports.rows import Row

_MINOR: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,14}", re.ASCII)
#: Between thousands, beside the mark that is not the decimal one.
_SPACES: Final = "'\u2019 \u00a0\u202f"
#: A minus, a currency by its code or its sign (written as $ here), the number; or the currency behind it.
_AMOUNT: Final = re.compile(
    r"(?P<minus>[-\u2212]?)\s*(?:[A-Za-z]{0,3}\$|[A-Za-z]{2,3}(?=[\s\d]))?\s*(?P<number>\d.*\d|\d)"
    r"\s*(?:\$|(?<=\s)[A-Za-z]{2,3})?"
)
_DAY_CHARACTERS: Final = 10


class CellWrong(ValueError):
    """A cell that can't be read as its mapping says. Its message repeats nothing of what stands there."""


class Cells:
    """Reads the values of rows, by one mapping."""

    def __init__(self, mapping: ToolMapping) -> None:
        self.mapping = mapping
        self._zone = calendar.zone(mapping.time_zone)

    def read(self, said: Said, row: Row) -> str | None:
        """Return the value as facts write it; None if the row does not say it.

        Raises:
            CellWrong: if it can't be read.
        """
        cell = self.mapping.facts.get(said)
        if cell is None:
            return None
        text = cell.value if cell.value is not None else self._first(cell.column or (), row)
        text = cell.words.get(text, text)
        return self._converted(said, text, cell.format, row) if text else None

    def column(self, said: Said) -> str:
        """The name of the column that says it, for people."""
        cell = self.mapping.facts.get(said)
        return cell.column[0] if cell is not None and cell.column else said

    def _first(self, columns: tuple[str, ...], row: Row) -> str:
        return next((text for column in columns if (text := row.text(column))), "")

    def _converted(self, said: Said, text: str, form: str | None, row: Row) -> str:
        match self.mapping.read_as(said):
            case As.TEXT:
                return text
            case As.LOWER:
                return text.lower()
            case As.UPPER:
                return text.upper()
            case As.MONEY:
                return as_decimal(text, self.mapping.decimal_mark)
            case As.MINOR:
                return from_minor(text, self.read(Said.CURRENCY, row))
            case As.TIME:
                return as_instant(text, form, self._zone)
            case As.UNIX:
                return _since_1970(text, 1)
            case As.UNIX_MS:
                return _since_1970(text, 1000)


def as_decimal(text: str, mark: str = ".") -> str:
    """Return an amount as a decimal string, without its currency and the marks between its thousands.

    Raises:
        CellWrong: if it is no amount.
    """
    found = _AMOUNT.fullmatch("".join("$" if unicodedata.category(each) == "Sc" else each for each in text.strip()))
    grouping = re.escape(("," if mark == "." else ".") + _SPACES)
    shape = rf"(?:\d{{1,3}}(?:[{grouping}]\d{{3}})+|\d+)(?:{re.escape(mark)}\d+)?"
    if found is None or not re.fullmatch(shape, found["number"], re.ASCII):
        raise CellWrong(f"is no amount such as 1234{mark}50; the mapping's decimal_mark is {mark!r}")
    return ("-" if found["minus"] else "") + re.sub(rf"[{grouping}]", "", found["number"]).replace(mark, ".")


def from_minor(text: str, currency: str | None) -> str:
    """Return a whole number of a currency's smallest units as a decimal string.

    Raises:
        CellWrong: if it is none, or the currency is not known.
    """
    if currency is None:
        raise CellWrong("is in smallest units, and the row names no currency")
    if not _MINOR.fullmatch(text):
        raise CellWrong("is no whole number of the currency's smallest units")
    try:
        return str(money.from_minor(int(text), money.known_currency(currency)))
    except ValueError:
        raise CellWrong("is in smallest units of a currency that ISO 4217 does not list") from None


def is_more_than_nothing(amount: str) -> bool:
    """Whether a decimal string is above zero."""
    return Decimal(amount) > 0


def as_instant(text: str, form: str | None, zone: ZoneInfo) -> str:
    """Return a time in ISO 8601, in UTC. One without an offset is of the zone; a day is its first midnight there.

    Raises:
        CellWrong: if it is no time of that format.
    """
    try:
        read = datetime.strptime(text, form) if form else _iso(text)  # noqa: DTZ007 (the zone is given below)
    except ValueError:
        wanted = f"of the format {form!r}" if form else "in ISO 8601, such as 2026-07-10T14:00:00Z; name its `format`"
        raise CellWrong(f"is no time {wanted}") from None
    if read.tzinfo is None:
        read = calendar.at_wall_clock(read.date(), read.time(), zone)
    return read.astimezone(UTC).isoformat()


def _iso(text: str) -> datetime:
    if len(text) == _DAY_CHARACTERS:
        return datetime.combine(calendar.parse_day(text), time())
    # Python also reads 20260710 and 2026W284, which are more likely numbers in the wrong column.
    if text[4:5] != "-" or text[7:8] != "-":
        raise ValueError
    return datetime.fromisoformat(text.removesuffix(" UTC") + ("Z" if text.endswith(" UTC") else ""))


def _since_1970(text: str, parts: int) -> str:
    if not _SECONDS.fullmatch(text):
        raise CellWrong("is no whole number since 1970")
    whole, rest = divmod(int(text), parts)
    try:
        return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest * (1_000_000 // parts)).isoformat()
    except (ValueError, OverflowError, OSError):
        raise CellWrong("is no time of this age") from None
