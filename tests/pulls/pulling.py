"""A register and a source that is pulled in a test, without Temporal: page after page, as the workflow has it done."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text

from activities.messages import PullProgress, PullRequest
from activities.pulls import Pulls
from referral_rewards.api import source_events
from referral_rewards.domain.facts.rights import rights
from referral_rewards.loopback import served
from referral_rewards.register.source_events import cursors, keeping, reading
from referral_rewards.vendor_apis.connected import connected
from referral_rewards.vendor_apis.port import VendorApi
from referral_rewards.vendors.access import ApiAccess, Pull
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.known import VENDORS
from referral_rewards.vendors.port import SourceMapping, Told
from tests.desk import Desk
from tests.pulls.vendors_faked import KEY, Vendor

#: When everything in these tests had happened already.
NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
PULL = Pull(every=timedelta(minutes=10), overlap=timedelta(hours=1))
#: More pages than any test has.
_PAGES_MAX = 60


def source(vendor: str, mapping: SourceMapping, url: str = "", name: str = "shop") -> ConnectedSource:
    may = rights((mapping.source,), ("conversion.*", "referral.claimed"))
    api = ApiAccess(url, SecretStr(KEY))
    return ConnectedSource(name, VENDORS[vendor], mapping, may, ("s" * 40,), api, PULL)


@dataclass
class Puller:
    """Pulls one source of a desk's register, at a moment of ``now``."""

    desk: Desk
    source: ConnectedSource
    apis: Mapping[str, VendorApi]
    now: datetime = NOW

    @property
    def pulls(self) -> Pulls:
        its = {self.source.name: self.source}
        return Pulls(self.desk.database.worker, self.desk.parts.intake, its, self.apis, lambda: self.now)

    async def since(self, at: datetime) -> None:
        async with self.desk.database.transaction() as connection:
            await cursors.restart(connection, self.source.name, at, self.now)

    async def page(self, troubles: int = 0) -> PullProgress:
        return await self.pulls.pull_page(PullRequest(source=self.source.name, troubles=troubles))

    async def pull(self) -> list[PullProgress]:
        """Takes pages until the pull is over, without the pauses between them; then what waited for a name is read."""
        found, troubles = list[PullProgress](), 0
        while not found or found[-1].more:
            assert len(found) < _PAGES_MAX
            found.append(await self.page(troubles))
            troubles = 0 if found[-1].told else troubles + 1
        await source_events.resolve(replace(self.desk.parts, event_sources={self.source.name: self.source}))
        return found

    async def hear(self, told: Told) -> None:
        """Takes an event as its webhook would bring it."""
        event = reading.read(self.source, told)
        await self.desk.database.api.write(keeping.keep, self.source, [event], self.desk.parts.intake, self.now)

    async def state(self) -> cursors.PullState:
        async with self.desk.database.reading() as connection:
            return (await cursors.states(connection))[self.source.name]

    async def facts(self) -> set[tuple[Any, ...]]:
        """The facts of this source, without what differs between two sources."""
        rows = await self.ask(
            "SELECT event_id, type, occurred_at, CAST(data AS text) FROM fact WHERE source = :source",
            source=self.source.mapping.source,
        )
        return {tuple(row) for row in rows}

    async def outcomes(self) -> dict[str, str]:
        rows = await self.ask(
            "SELECT e.event_id, r.outcome FROM source_event e JOIN source_reading r ON r.event = e.id"
            " WHERE e.source = :source",
            source=self.source.name,
        )
        return {row.event_id: row.outcome for row in rows}

    async def ask(self, sql: str, **asked: Any) -> list[Any]:
        async with self.desk.database.transaction() as connection:
            return list(await connection.execute(text(sql), asked))


@asynccontextmanager
async def pulling(
    desk: Desk, vendor: Vendor, kind: str, mapping: SourceMapping, name: str = "shop"
) -> AsyncIterator[Puller]:
    """A source of a vendor that is served on loopback."""
    async with served(vendor, is_dated=False) as url:
        its = source(kind, mapping, url, name)
        async with connected({name: its}) as apis:
            yield Puller(desk, its, apis)
