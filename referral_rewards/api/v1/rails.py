"""The rails of the installation, for whoever asks why payouts wait."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from referral_rewards.api.dependencies import Person, Reading
from referral_rewards.api.v1.shapes import Instant
from referral_rewards.reporting.rails import rails

router = APIRouter(prefix="/v1/rails", tags=["payouts"])


class Rail(BaseModel):
    """A rail. ``connected``: a worker said lately that it has it; ``mode`` is live, test or sandbox, null where no
    provider stands behind it. ``halted_at`` and ``why`` are of one that does not let us in; ``waiting`` are its payouts
    that are approved and neither paid nor before a person."""

    rail: str
    connected: bool
    mode: str | None
    seen_at: Instant | None
    halted_at: Instant | None
    why: str | None
    waiting: int


@router.get("", summary="List the rails", responses={200: {"model": list[Rail]}})
async def list_rails(connection: Reading, person: Person) -> Any:
    """Every rail that terms may name: whether it is connected, halted since when and why, how many payouts wait."""
    return await rails(connection, datetime.now(UTC))
