"""Format values for files and JSON, and CSV rows that no spreadsheet takes for formulas."""

import csv
import io
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row


def instant(moment: datetime | None) -> str | None:
    """Return an instant in ISO 8601, in UTC with ``Z``."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Return a value from the database as a JSON value."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, Row):
        return plain(dict(value._mapping))
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


#: A spreadsheet takes a cell that begins like this for a formula. An apostrophe in front makes it text.
_FORMULA: Final = ("=", "+", "-", "@")


def csv_row(*cells: str) -> str:
    """Return one row of CSV."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def as_text(value: str) -> str:
    """Return a value from outside as a cell that is never a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value
