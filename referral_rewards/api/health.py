"""Whether this process lives, whether it can do its work, and its metrics."""

from typing import Final

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text

from referral_rewards.api.parts import Its, Reading

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Does the process live?")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", summary="Can it do its work?")
async def readyz(connection: Reading) -> dict[str, str]:
    """503 while the database can't be reached or lacks our schema."""
    await connection.execute(_USABLE)
    return {"status": "ok"}


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(parts: Its, connection: Reading) -> Response:
    parts.metrics.outbox.set((await connection.execute(_OUTBOX)).scalar_one())
    return Response(parts.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


_USABLE: Final = text("SELECT 1 FROM referral, app_user, outbox LIMIT 1")
_OUTBOX: Final = text("SELECT count(*) FROM outbox")
