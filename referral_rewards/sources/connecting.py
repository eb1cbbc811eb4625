"""Connects the sources that an installation names, each by its kind, and our own register beside them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from referral_rewards.domain.referrals.inquiries import REGISTER
from referral_rewards.operation.outgoing import Noting, transport
from referral_rewards.sources.http import HttpSource, RegisterSource
from referral_rewards.sources.mapped import MappedSource
from referral_rewards.sources.mapping import MappedEndpoint
from referral_rewards.sources.port import Endpoint, Source

#: Where a source is, and how it is read.
Place = Endpoint | MappedEndpoint


@asynccontextmanager
async def connected(places: Mapping[str, Place], noting: Noting | None = None) -> AsyncIterator[Mapping[str, Source]]:
    """Yield the register and every source of ``places``, for the length of the block. Each request is noted under the
    source's name."""
    outside: dict[str, Source] = {}
    async with AsyncExitStack() as clients:
        for name, at in places.items():
            over = transport(noting(name) if noting is not None else None)
            client = httpx.AsyncClient(follow_redirects=False, trust_env=False, transport=over)
            outside[name] = _source(name, at, await clients.enter_async_context(client))
        yield {REGISTER: RegisterSource(), **outside}


def _source(name: str, at: Place, client: httpx.AsyncClient) -> Source:
    match at:
        case Endpoint():
            return HttpSource(name, at, client)
        case MappedEndpoint():
            return MappedSource(name, at, client)
