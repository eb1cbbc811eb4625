"""Assembles the HTTP API."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from starlette.types import Receive, Scope, Send

from referral_rewards.api import docs, health, openapi, payloads, problems, source_events
from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk import install as desk
from referral_rewards.api.headers import BodyLimit, secured
from referral_rewards.api.operating import look
from referral_rewards.api.slow_clients import PATIENCE, BodyPatience, Patience
from referral_rewards.api.traced import Traced
from referral_rewards.api.v1.claims import claim, queue, referrals, set_aside, standings
from referral_rewards.api.v1.facts import asked_sources, batches, event_sources, events, source_pulls, webhooks
from referral_rewards.api.v1.fields import only_known
from referral_rewards.api.v1.measures import budgets, lifetime, measurements, reports
from referral_rewards.api.v1.money import (
    audits,
    clawbacks,
    cycles,
    instructions,
    ledger,
    liabilities,
    looks,
    payees,
    payouts,
    rails,
    reconciliations,
    redirects,
    restores,
)
from referral_rewards.api.v1.people import account_changes, audit_log, blocklist, persons, tokens, users
from referral_rewards.api.v1.programs import pilots, programs, simulations
from referral_rewards.api.watching import watch, watch_namespace

_ABOUT = """\
Facts about referrals come in, and people decide on the rewards that follow from them.
Every refusal is a problem document (RFC 9457, `application/problem+json`); `type` tells refusals apart.
"""


def create_app(parts: Parts, patience: Patience = PATIENCE) -> FastAPI:
    """Return the API over these parts, which it closes at shutdown; ``patience`` is how long it waits for a body."""

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
        if parts.tracing is not None:
            await parts.tracing.close()

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
    if parts.tracing is not None:
        app.add_middleware(Traced, tracer=parts.tracing.tracer)
    app.add_middleware(BodyPatience, patience=patience)
    problems.install(app)
    # Requests look for their route in this order; what others send us comes first. What providers and probes add to an
    # address is theirs to choose.
    app.include_router(events.router, dependencies=[Depends(only_known)])
    app.include_router(webhooks.router)
    judged = (each.router for each in (batches, referrals, standings, queue, set_aside, claim, programs, simulations))
    paid = (each.router for each in (instructions, payouts, clawbacks, cycles, rails, restores))
    payable = (each.router for each in (payees, looks, redirects))
    booked = (each.router for each in (ledger, liabilities, reconciliations, audits))
    measured = (each.router for each in (reports, budgets, lifetime, measurements, pilots))
    told = (event_sources, asked_sources, source_pulls)
    access = (each.router for each in (tokens, account_changes, users, persons, blocklist, audit_log, *told))
    apart = (rails.forgotten, standings.offers, tokens.whose)
    for router in (*judged, *paid, *payable, *booked, *measured, *apart, *access):
        app.include_router(router, dependencies=[Depends(only_known)])
    for room in (health, docs, payloads):
        app.include_router(room.router)
    desk.install(app)
    return app


def _watching(parts: Parts) -> tuple[asyncio.Task[None], ...]:
    """Begin to look at the database, at which events of sources can be read again, and at what Temporal keeps, if a
    server is named."""
    watches: dict[str, Coroutine[None, None, None]] = {"the look at the database": look(parts)}
    if parts.event_sources:
        watches["the events of sources"] = source_events.watch(parts)
    if (connect := parts.temporal) is not None:
        watches["the watch of the register's mark"] = watch(parts.database, connect)
        watches["the watch of the namespace"] = watch_namespace(parts.namespace, connect)
    begun = {name: asyncio.create_task(each) for name, each in watches.items()}
    for name, task in begun.items():
        parts.pulse.ask(name, lambda task=task: not task.done())  # type: ignore[misc]
    return tuple(begun.values())


class _Secured(FastAPI):
    """An app that adds the security headers outside of all middleware, so that its error responses have them, too."""

    def openapi(self) -> dict[str, Any]:
        return openapi.document(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, secured(scope, send))
