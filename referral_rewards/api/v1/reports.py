"""Reports as files of any length, each streamed from one snapshot of the register."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.api.dependencies import Bookkeeper, Its
from referral_rewards.domain.payouts.rail_catalogue import MANUAL
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.payees import year as sheet
from referral_rewards.reporting.payees.year import Regime

_BLOCK_CHARACTERS: Final = 32_768

_PLAIN: Final = "text/plain; charset=utf-8"
_KINDS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}

Written = Callable[[AsyncConnection], AsyncIterator[str]]
"""Yields the parts of a file, read over a connection."""


async def sent(database: Database, written: Written, name: str) -> StreamingResponse:
    """Return a download with that file name."""
    blocks = _blocks(database, written)
    # Read the first block here: if the database is away, the response can still be an error.
    first = await anext(blocks)
    return StreamingResponse(
        _chained(first, blocks),
        media_type=_KINDS.get(name.rpartition(".")[2], _PLAIN),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _blocks(database: Database, written: Written) -> AsyncGenerator[str]:
    """Yield the file in blocks of about a packet's size, at least one."""
    held, size = [], 0
    async with database.reading() as connection:
        await see_one_moment(connection)
        async for each in written(connection):
            held.append(each)
            size += len(each)
            if size >= _BLOCK_CHARACTERS:
                yield "".join(held)
                held, size = [], 0
    yield "".join(held)


async def _chained(first: str, rest: AsyncGenerator[str]) -> AsyncIterator[str]:
    async with aclosing(rest):
        yield first
        async for each in rest:
            yield each


router = APIRouter(prefix="/v1/reports", tags=["reports"])

#: No program is older, and no calendar has to reach further.
YEARS: Final[dict[str, Any]] = {"ge": 1970, "le": 2999}
Year = Annotated[int, Query(**YEARS, examples=[2026])]
"""A calendar year."""


_A_YEAR: Final = {
    "payee": "dexter",
    "regime": "us",
    "currency": "USD",
    "by_kind": {"cash": 210_000},
    "by_rail": {MANUAL.name: 210_000},
    "total_minor": 210_000,
    "threshold_minor": 200_000,
    "reportable": False,
    "grounds": "foreign",
    "payee_status": "foreign",
    "form": "W-8BEN",
    "form_standing": "in_force",
    "form_until": "2030-01-01T00:00:00Z",
    "withheld_minor": 0,
    "clawed_back_minor": 0,
    "others_file": [],
}


@router.get(
    "/tax",
    summary="What each payee was paid in a calendar year",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file.",
            "content": {"text/csv": {}, "application/json": {"example": {"year": 2026, "payees": [_A_YEAR]}}},
        }
    },
)
async def tax_report(
    parts: Its,
    person: Bookkeeper,
    year: Year,
    regime: Annotated[Regime | None, Query(description="Only under this tax regime.")] = None,
    format_: Annotated[Literal["csv", "json"], Query(alias="format", description="How the file is written.")] = "csv",
) -> StreamingResponse:
    """Returns a line for each payee and currency: the amounts paid by kind and over which rails, whether they must be
    reported and why, the form on file, and the amounts withheld and returned. It contains ids and no personal data.

    A payee who is foreign by the form on file is never reportable: `grounds` says that another form may be due."""
    now, of = datetime.now(UTC), regime.value if regime else None
    write = sheet.report_as_json if format_ == "json" else sheet.report
    name = f"tax-{year}{f'-{of}' if of else ''}.{format_}"
    return await sent(parts.database, lambda connection: write(connection, year, now, regime=of), name)
