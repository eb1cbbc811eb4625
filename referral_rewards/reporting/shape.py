"""How everything that reporting returns is written: output shapes, counts of lists, and values in files.

The API declares the shapes, the desk reads their members, and clients get them as JSON. No list is counted further than
to a thousand: nobody pages further, and no large table is read whole.
"""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import Row, TextClause, func, select
from sqlalchemy.ext.asyncio import AsyncConnection


class Shape(BaseModel):
    """An output shape. Later versions may add members, but never rename them.

    The constructor validates each member: a value from the database that does not fit is a bug and raises.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    def as_json(self) -> dict[str, Any]:
        """Return the shape as JSON values, without members left at their default."""
        return self.model_dump(mode="json", exclude_unset=True)


def _in_utc(moment: datetime) -> datetime:
    # The database may return it in the time zone of its session.
    return moment.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_in_utc), Field(examples=["2026-07-24T14:00:00Z"])]
"""An instant, in UTC."""
GivenId = Annotated[str, Field(examples=["db1"])]
"""An id that the company assigned, such as a referral's."""


COUNTED_MAX: Final = 1_000


class Count(Shape):
    """How many; where `at_least` is true there are more."""

    count: int
    at_least: bool

    @classmethod
    def of(cls, counted: int) -> "Count":
        return cls(count=min(counted, COUNTED_MAX), at_least=counted > COUNTED_MAX)

    def __str__(self) -> str:
        return f"{self.count:,}{'+' if self.at_least else ''}"


async def count(connection: AsyncConnection, page: TextClause, asked: Mapping[str, Any]) -> Count:
    """How many rows the statement of a list finds from its beginning: ``asked`` as for a page of it, which begins
    after ``after`` and has at most ``limit`` rows."""
    from_the_beginning = {**asked, "limit": COUNTED_MAX + 1}
    counting = select(func.count()).select_from(page.columns().subquery("found"))
    return Count.of((await connection.execute(counting, from_the_beginning)).scalar_one())


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
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_row(*cells: str) -> str:
    """Return one row of CSV."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def as_text(value: str) -> str:
    """Return a value from outside as a cell that is never a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value
