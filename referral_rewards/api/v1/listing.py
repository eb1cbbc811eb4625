"""What every list takes in its address, and how it answers: a page as JSON, or all that is filtered as a CSV file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.fields import TEXT, Day
from referral_rewards.domain.measures.measures import Days
from referral_rewards.register import programs
from referral_rewards.reporting.lists.asked import Asked, zone_of
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.lists.sheets import Sheet

_Wanted = TypeVar("_Wanted", bound=Asked)
_Row = TypeVar("_Row")

#: What the document says of the other form of a list.
AS_FILE: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
Text = Annotated[str | None, Field(max_length=500, pattern=TEXT)]
Uuid = Annotated[str | None, Field(pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
"""The id of a row, at which a page ended."""


class ListFilters(BaseModel):
    """Days, order, form and page of a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Day | None = Field(
        default=None,
        alias="from",
        description="The first day, by the calendar of the program that is named, else in UTC.",
    )
    until: Day | None = Field(default=None, alias="to", description="The day after the last one.")
    totals: bool = Field(default=False, description="Also what all that is filtered comes to, by currency.")
    format: Literal["json", "csv"] = Field(
        default="json", description="A page as JSON, or everything that is filtered as a CSV file."
    )
    sort: str = ""
    after: Text = Field(default=None, description="The value of `next` from the previous page.")
    limit: int = Field(default=100, ge=1, le=500)


def order_of(names: Iterable[str]) -> Any:
    """Return the field for the order of a list, of which the first is the usual one."""
    known = list(names)
    return Field(
        default="",
        description=f"The order; `{known[0]}` if none is named.",
        json_schema_extra={"enum": ["", *known]},
    )


@dataclass(frozen=True, slots=True)
class Found(Generic[_Row]):
    """A page of a list; ``next`` is the `after` of the next page, None at the end."""

    rows: Sequence[_Row]
    next: str | None
    totals: Totals | None


async def page_of(
    parts: Parts,
    sheet: Sheet[_Wanted, _Row],
    asked: ListFilters,
    wanted: Callable[..., _Wanted],
    program: str | None = None,
) -> Found[_Row]:
    """Return the page that is asked for. ``wanted`` makes the list's filters from those that all lists have.

    Raises:
        RequestInvalid: if nobody knows the program, the days end before they begin, or the list has no such order.
    """
    async with parts.database.reading() as connection:
        its = await _wanted(connection, asked, wanted, program)
        rows = await sheet.page(connection, its)
        if not rows:
            await programs.hold_known(connection, program)
        totals = await sheet.totals(connection, its) if asked.totals else None
    return Found(rows, sheet.place(rows[-1]) if len(rows) == asked.limit else None, totals)


async def file_of(
    parts: Parts,
    sheet: Sheet[_Wanted, _Row],
    asked: ListFilters,
    wanted: Callable[..., _Wanted],
    program: str | None = None,
) -> StreamingResponse:
    """Return all that is filtered as a file, whichever page is asked for.

    Raises:
        RequestInvalid: as for a page.
    """
    async with parts.database.reading() as connection:
        its = await _wanted(connection, asked, wanted, program)
        await programs.hold_known(connection, program)
    its = replace(its, after=None)
    return await sent(parts.database, lambda connection: sheet.written(connection, its), f"{sheet.name}.csv")


async def _wanted(
    connection: AsyncConnection, asked: ListFilters, wanted: Callable[..., _Wanted], program: str | None
) -> _Wanted:
    days = Days.between(asked.since, asked.until)
    zone = await zone_of(connection, program if any(days) else None)
    return wanted(days=days, zone=zone, sort=asked.sort, after=asked.after or None, limit=asked.limit)
