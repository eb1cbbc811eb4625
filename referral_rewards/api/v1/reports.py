"""Reports as files."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from referral_rewards.api.dependencies import Bookkeeper, Its
from referral_rewards.api.streaming import sent
from referral_rewards.reporting.payees import year as sheet
from referral_rewards.reporting.payees.year import Regime

router = APIRouter(prefix="/v1/reports", tags=["reports"])

#: No program is older, and no calendar has to reach further.
YEARS: Final[dict[str, Any]] = {"ge": 1970, "le": 2999}
Year = Annotated[int, Query(**YEARS, examples=[2026])]
"""A calendar year."""


@router.get(
    "/tax",
    summary="What each payee was paid in a calendar year",
    response_class=StreamingResponse,
    responses={200: {"description": "The file.", "content": {"text/csv": {}}}},
)
async def tax_report(
    parts: Its,
    person: Bookkeeper,
    year: Year,
    regime: Annotated[Regime | None, Query(description="Only under this tax regime.")] = None,
) -> StreamingResponse:
    """Returns a line for each payee and currency: the amounts paid by kind, whether they must be reported, the form on
    file, and the amounts withheld and returned. It contains ids and no personal data."""
    now, of = datetime.now(UTC), regime.value if regime else None
    name = f"tax-{year}{f'-{of}' if of else ''}.csv"
    return await sent(parts.database, lambda connection: sheet.report(connection, year, now, regime=of), name)
