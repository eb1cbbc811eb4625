"""Audits of what a program paid: the signed report, as JSON or as a page."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api import auditing
from referral_rewards.api.dependencies import Bookkeeper, Its
from referral_rewards.api.v1.fields import Day, NamedInPath

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_EXAMPLE: Final = {
    "format": "referral-rewards-audit/1",
    "rewards": [],
    "findings": [],
    "statement": {
        "format": "referral-rewards-audit/1",
        "program": "acme-friends",
        "cycle": None,
        "from": "2026-07-01T00:00:00-04:00",
        "to": "2026-08-01T00:00:00-04:00",
        "made_at": "2026-08-03T09:00:00+00:00",
        "made_by": "fiona",
        "product": "0.1.0",
        "keys": ["693425e5867c0f77"],
        "register": {"restores": 0, "decision": 12, "decision_hash": "583d5b64…", "posting": 40, "payout_step": 31},
        "rewards": {"count": 0, "sha256": "e3b0c442…"},
        "findings": {"count": 0, "by_part": {"ledger": 0}, "sha256": "e3b0c442…"},
        "totals": [],
    },
    "signature": {"algorithm": "Ed25519", "key_id": "693425e5867c0f77", "signature": "fd9a7c7f…"},
}


class AuditAsked(BaseModel):
    """What is audited, and how the report is written."""

    model_config = ConfigDict(extra="forbid")

    cycle: Day | None = Field(default=None, description="Only what the payout cycle of this day paid.")
    since: Day | None = Field(default=None, alias="from", description="The first day, on the program's calendar.")
    until: Day | None = Field(default=None, alias="to", description="The day after the last one.")
    format: Literal["json", "html"] = Field(default="json", description="How it is written.")


@router.get(
    "/audit/{program}",
    summary="Audit what a program paid",
    response_class=FileResponse,
    response_model=None,
    responses={
        200: {"description": "The report.", "content": {"application/json": {"example": _EXAMPLE}, "text/html": {}}}
    },
)
async def audit_program(
    parts: Its, person: Bookkeeper, program: NamedInPath, asked: Annotated[AuditAsked, Query()]
) -> FileResponse | StreamingResponse:
    """Derives every paid reward again from what was received, published and signed, and returns the report with what
    was found, signed with the key that signs decisions. The page is made of the same report."""
    wanted = auditing.Asked(program, asked.cycle, asked.since, asked.until)
    written = auditing.as_page if asked.format == "html" else auditing.as_json
    return await written(parts, wanted, person.name)
