"""The rails of the installation: why payouts wait."""

from datetime import UTC, datetime

from fastapi import APIRouter

from referral_rewards.api.dependencies import Person, Reading
from referral_rewards.reporting import rails
from referral_rewards.reporting.rails import Rail

router = APIRouter(prefix="/v1/rails", tags=["payouts"])


@router.get("", summary="List the rails")
async def list_rails(connection: Reading, person: Person) -> list[Rail]:
    """Lists the rails that terms may name: connected or not, since when and why halted, and how many payouts wait."""
    return await rails.rails(connection, datetime.now(UTC))
