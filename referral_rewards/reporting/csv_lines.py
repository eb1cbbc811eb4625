"""Lines of CSV that a spreadsheet reads as they are meant."""

import csv
import io
from typing import Final

#: What a spreadsheet would take for a formula. An id may begin so; it gets an apostrophe, as spreadsheets have it.
_FORMULA: Final = ("=", "+", "-", "@")


def row(*cells: str) -> str:
    """One line of a sheet."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def as_text(value: str) -> str:
    """What somebody else chose, for a cell: never a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value
