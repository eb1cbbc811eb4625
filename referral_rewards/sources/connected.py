"""The sources of an installation, by their names in the terms."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from referral_rewards.domain.referrals.inquiries import REGISTER
from referral_rewards.sources.http import HttpSource
from referral_rewards.sources.port import Endpoint, Source
from referral_rewards.sources.register import RegisterSource


@asynccontextmanager
async def connected(endpoints: Mapping[str, Endpoint]) -> AsyncIterator[Mapping[str, Source]]:
    """The register and every source of ``endpoints``, for the length of the block."""
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        outside: dict[str, Source] = {name: HttpSource(name, at, client) for name, at in endpoints.items()}
        yield {REGISTER: RegisterSource(), **outside}
