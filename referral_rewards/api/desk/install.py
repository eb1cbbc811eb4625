"""Adds the desk to the app: its pages, static files, and error pages for people."""

from types import ModuleType
from typing import Final

from fastapi import Depends, FastAPI, Request
from starlette.staticfiles import StaticFiles

from referral_rewards.api.desk import pages
from referral_rewards.api.desk.claims import bulk, claim, queue, referrals, set_aside, status
from referral_rewards.api.desk.measures import budgets, lifetime, monthly, reports
from referral_rewards.api.desk.money import (
    audits,
    clawbacks,
    cycles,
    instructions,
    leaving,
    ledger,
    liabilities,
    looks,
    payees,
    payouts,
    rails,
    reconciliations,
    redirects,
)
from referral_rewards.api.desk.people import (
    account,
    audit_log,
    openid,
    persons,
    second_factor,
    second_step,
    signing_in,
    users,
)
from referral_rewards.api.desk.programs import pilots, programs
from referral_rewards.api.desk.session.visiting import SignInNeeded
from referral_rewards.domain.errors import FactorNeeded, NotFound

#: The rooms of the desk, each a module with a `router`.
ROOMS: Final[tuple[ModuleType, ...]] = (
    signing_in,
    second_step,
    openid,
    queue,
    set_aside,
    bulk,
    claim,
    referrals,
    instructions,
    payouts,
    clawbacks,
    leaving,
    cycles,
    programs,
    pilots,
    audits,
    reports,
    monthly,
    budgets,
    lifetime,
    ledger,
    liabilities,
    rails,
    reconciliations,
    payees,
    looks,
    redirects,
    account,
    second_factor,
    users,
    persons,
    audit_log,
    status,
)


def install(app: FastAPI) -> None:
    """Add the desk to the app."""
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    app.add_exception_handler(SignInNeeded, signing_in.sign_in_first)
    app.add_exception_handler(FactorNeeded, second_factor.needed_first)
    for room in ROOMS:
        app.include_router(room.router, include_in_schema=False, dependencies=[Depends(_names_something)])


async def _names_something(request: Request) -> None:
    """No id holds a zero character, which the database can't even be asked for."""
    if "\0" in request.scope["path"]:
        raise NotFound("page", request.url.path)
