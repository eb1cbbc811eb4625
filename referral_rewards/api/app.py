"""Assembles the HTTP API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from starlette.types import Receive, Scope, Send

from referral_rewards.api import docs, health, openapi, problems
from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk import install as desk
from referral_rewards.api.headers import BodyLimit, secured
from referral_rewards.api.v1 import (
    audit,
    audits,
    batches,
    blocklist,
    budgets,
    claims,
    clawbacks,
    cycles,
    events,
    instructions,
    ledger,
    liabilities,
    lifetime,
    looks,
    measurements,
    payees,
    payouts,
    pilots,
    programs,
    queue,
    rails,
    reconciliations,
    redirects,
    referrals,
    reports,
    restores,
    set_aside,
    simulations,
    standings,
    tokens,
    users,
    webhooks,
)
from referral_rewards.api.v1.fields import only_known
from referral_rewards.api.watching import watch, watch_namespace

_ABOUT = """\
Facts about referrals come in, and people decide on the rewards that follow from them.
Every refusal is a problem document (RFC 9457, `application/problem+json`); `type` tells refusals apart.
"""


def create_app(parts: Parts) -> FastAPI:
    """Return the API over these parts, which it closes at shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watching = _watching(parts)
        yield
        for each in watching:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
        if parts.outside is not None:
            await parts.outside.aclose()
        await parts.database.close()

    app = _Secured(
        title="Referral rewards",
        description=_ABOUT,
        version=version("referral-rewards"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
    )
    app.state.parts = parts
    app.add_middleware(BodyLimit)
    problems.install(app)
    judged = (
        each.router for each in (events, batches, referrals, standings, queue, set_aside, claims, programs, simulations)
    )
    paid = (each.router for each in (instructions, payouts, clawbacks, cycles, rails, restores))
    payable = (each.router for each in (payees, looks, redirects))
    booked = (each.router for each in (ledger, liabilities, reconciliations, audits))
    measured = (each.router for each in (reports, budgets, lifetime, measurements, pilots))
    access = (each.router for each in (tokens, users, blocklist, audit))
    for router in (
        *judged,
        *paid,
        *payable,
        rails.forgotten,
        *booked,
        *measured,
        standings.offers,
        tokens.whose,
        *access,
    ):
        app.include_router(router, dependencies=[Depends(only_known)])
    # What providers and probes add to an address is theirs to choose.
    for room in (webhooks, health, docs):
        app.include_router(room.router)
    desk.install(app)
    return app


def _watching(parts: Parts) -> tuple[asyncio.Task[None], ...]:
    """Begin to watch what Temporal keeps, if a server is named."""
    if (connect := parts.temporal) is None:
        return ()
    watches = (watch(parts.database, connect), watch_namespace(parts.namespace, connect))
    return tuple(asyncio.create_task(each) for each in watches)


class _Secured(FastAPI):
    """An app that adds the security headers outside of all middleware, so that its error responses have them, too."""

    def openapi(self) -> dict[str, Any]:
        return openapi.document(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, secured(scope, send))
