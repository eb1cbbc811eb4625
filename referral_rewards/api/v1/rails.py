"""The rails of the installation, for whoever asks why payouts wait."""

from datetime import UTC, datetime

from fastapi import APIRouter

from referral_rewards.api.dependencies import Person, Reading
from referral_rewards.reporting import rails
from referral_rewards.reporting.rails import Rail

router = APIRouter(prefix="/v1/rails", tags=["payouts"])


@router.get("", summary="List the rails")
async def list_rails(connection: Reading, person: Person) -> list[Rail]:
    """Every rail that terms may name: whether it is connected, halted since when and why, how many payouts wait."""
    return await rails.rails(connection, datetime.now(UTC))
