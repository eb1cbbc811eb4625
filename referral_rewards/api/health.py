"""Whether this process lives, whether it can do its work, and its metrics."""

from typing import Final, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.parts import Its, Parts, Reading
from referral_rewards.register.notices import State

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """It is well."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Does the process live?")
async def healthz() -> Health:
    return Health()


@router.get("/readyz", summary="Can it do its work?")
async def readyz(connection: Reading) -> Health:
    """503 while the database can't be reached or lacks our schema."""
    await connection.execute(_USABLE)
    return Health()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
)
async def metrics(parts: Its, connection: Reading) -> Response:
    parts.metrics.outbox.set((await connection.execute(_OUTBOX)).scalar_one())
    await _count_notices(parts, connection)
    return Response(parts.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _count_notices(parts: Parts, connection: AsyncConnection) -> None:
    counted = {row.state: row.notices for row in await connection.execute(_NOTICES)}
    for state in State:
        parts.metrics.notices.labels(state.value).set(counted.get(state, 0))
    parts.metrics.notices_late.set((await connection.execute(_NOTICES_LATE)).scalar_one())


_USABLE: Final = text("SELECT 1 FROM referral, app_user, outbox LIMIT 1")
_OUTBOX: Final = text("SELECT count(*) FROM outbox")

# Both go by an index: how many were ever told is not counted.
_NOTICES: Final = text("""
SELECT state, count(*) AS notices FROM notice WHERE due_at IS NOT NULL GROUP BY state
UNION ALL
SELECT state, count(*) FROM notice WHERE settled_at > now() - interval '1 day' GROUP BY state
""")

_NOTICES_LATE: Final = text(
    "SELECT count(*) FROM notice WHERE planned_at < now() - interval '1 hour' AND due_at < now()"
)
