"""Liveness, readiness and metrics of this process."""

import asyncio
from datetime import UTC, datetime
from typing import Final, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Its, Parts, Reading
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import NamespaceIncomplete
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.register import clocks
from referral_rewards.reporting.gauges import gauges
from referral_rewards.reporting.queue.counts import counts

router = APIRouter(tags=["operation"])

#: A probe must not wait for a database that does not answer.
_ANSWER_SECONDS: Final = 1.0


class Health(BaseModel):
    """It is well."""

    status: Literal["ok"] = "ok"


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Does the process live?")
async def healthz() -> Health:
    return Health()


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Does the process answer? What it needs is not asked.")
async def livez() -> Health:
    return Health()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Can it do its work?")
async def readyz(parts: Its) -> Health:
    """503 while the database can't be reached, does not answer within a second, or lacks our schema, while our clock is
    not that of the database, or Temporal lacks a search attribute of ours.

    Facts and decisions are taken meanwhile: nothing is lost, but no referral goes on.
    """
    async with asyncio.timeout(_ANSWER_SECONDS), parts.database.reading() as connection:
        await connection.execute(_USABLE)
        await clocks.need_the_same(connection, datetime.now(UTC))
    if (problem := parts.namespace.problem) is not None:
        raise NamespaceIncomplete(problem)
    return Health()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
)
async def metrics(parts: Its, connection: Reading) -> Response:
    parts.metrics.outbox.set((await connection.execute(_OUTBOX)).scalar_one())
    parts.metrics.attributes_missing.set(len(parts.namespace.missing))
    await _count_notices(parts, connection)
    await _count_queue(parts, connection)
    await _count_money(parts, connection)
    return Response(parts.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _count_notices(parts: Parts, connection: AsyncConnection) -> None:
    counted = {row.state: row.notices for row in await connection.execute(_NOTICES)}
    for state in NoticeState:
        parts.metrics.notices.labels(state.value).set(counted.get(state, 0))
    parts.metrics.notices_late.set((await connection.execute(_NOTICES_LATE)).scalar_one())


async def _count_queue(parts: Parts, connection: AsyncConnection) -> None:
    counted = await counts(connection, datetime.now(UTC))
    for each in Waits:
        found = counted.exceptions.get(each)
        parts.metrics.queue.labels(each.value).set(found.count if found else 0)
    parts.metrics.queue.labels(Flag.EVIDENCE_CONFLICT.value).set(counted.conflicts.count)


async def _count_money(parts: Parts, connection: AsyncConnection) -> None:
    found, told = await gauges(connection, datetime.now(UTC)), parts.metrics
    told.payouts.clear()
    for (state, rail), payouts in found.payouts.items():
        told.payouts.labels(state, rail).set(payouts)
    told.standing_still.set(found.standing_still)
    told.unknown_for_long.set(found.unknown_for_long)
    told.oldest_unknown.set(found.oldest_unknown_seconds)
    for rail in CATALOGUE:
        told.rail_halted.labels(rail).set(rail in found.halted)
    told.restored_rails.set(found.restored_rails)
    told.forgotten_payments.set(found.forgotten)
    told.cycles_frozen.set(found.cycles_frozen)
    told.cases_open.set(found.cases_open)
    told.unbalanced.set(found.unbalanced)


_USABLE: Final = text("SELECT 1 FROM referral, app_user, outbox LIMIT 1")
_OUTBOX: Final = text("SELECT count(*) FROM outbox")

# Both use an index: the messages ever sent are not counted.
_NOTICES: Final = text("""
SELECT state, count(*) AS notices FROM notice WHERE due_at IS NOT NULL GROUP BY state
UNION ALL
SELECT state, count(*) FROM notice WHERE settled_at > now() - interval '1 day' GROUP BY state
""")

_NOTICES_LATE: Final = text(
    "SELECT count(*) FROM notice WHERE planned_at < now() - interval '1 hour' AND due_at < now()"
)
