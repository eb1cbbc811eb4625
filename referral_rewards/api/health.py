"""Liveness and readiness of this process, for whoever reaches its public port. Metrics have a port of their own."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from referral_rewards.api.dependencies import Its
from referral_rewards.domain.errors import DatabaseSilent, NamespaceIncomplete

router = APIRouter(tags=["operation"])


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
    """503 while the database can't be reached, does not answer within five seconds, or lacks our schema, while our
    clock is not that of the database, or Temporal lacks a search attribute of ours.

    It answers at once with what was found last, a few seconds ago, and asks nothing itself. Facts and decisions are
    taken while an attribute is missing: nothing is lost, but no referral goes on.
    """
    if (problem := parts.ready.problem) is not None:
        raise DatabaseSilent(problem)
    if (problem := parts.namespace.problem) is not None:
        raise NamespaceIncomplete(problem)
    return Health()
