"""The sources of an installation, by their names in the terms."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from referral_rewards.domain.referrals.inquiries import REGISTER, register_answer, unavailable
from referral_rewards.sources.http import HttpSource
from referral_rewards.sources.port import Endpoint, Source, Told


@asynccontextmanager
async def connected(endpoints: Mapping[str, Endpoint]) -> AsyncIterator[Mapping[str, Source]]:
    """Yield the register and every source of ``endpoints``, for the length of the block."""
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        outside: dict[str, Source] = {name: HttpSource(name, at, client) for name, at in endpoints.items()}
        yield {REGISTER: RegisterSource(), **outside}


class RegisterSource:
    """The source for programs that have none to ask. Reversals reach us as facts, and the register counts them
    already."""

    async def order(self, order: str) -> Told:
        return Told(register_answer(order))

    async def customer(self, customer: str) -> Told:
        return Told(unavailable(REGISTER, "Our own record is no source of customers."))

    async def reachable(self) -> str | None:
        return None
