"""Values as files and JSON carry them, and lines of CSV that no spreadsheet takes for formulas."""

import csv
import io
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row


def instant(moment: datetime | None) -> str | None:
    """An instant in ISO 8601, in UTC with ``Z``."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """A value of the register as a JSON value."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, Row):
        return plain(dict(value._mapping))
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


#: What a spreadsheet would take for a formula. An id may begin so; it gets an apostrophe, as spreadsheets have it.
_FORMULA: Final = ("=", "+", "-", "@")


def csv_row(*cells: str) -> str:
    """One line of a sheet."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def as_text(value: str) -> str:
    """What somebody else chose, for a cell: never a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value
