"""Pull a source: ask it for a page of what happened, keep that like webhooks, and move the cursor, all at once."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.messages import PullProgress, PullRequest
from models.session import Database
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.source_events import cursors, keeping, reading
from referral_rewards.register.source_events.cursors import Pulled
from referral_rewards.vendor_apis.port import NotTold, Page, Trouble, VendorApi
from referral_rewards.vendors import cursor
from referral_rewards.vendors.connected import ConnectedSource

_log = structlog.get_logger("pulls")

#: So often one pull asks a source that does not answer; then it is over, and the next one goes on.
_TRIES: Final = 5
_LONGEST_PAUSE: Final = timedelta(minutes=5)


def _now() -> datetime:
    return datetime.now(UTC)


class Pulls:
    """The activity of a pull. Killed anywhere and run again, it asks for the same page again, which changes nothing."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        sources: Mapping[str, ConnectedSource],
        apis: Mapping[str, VendorApi],
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._database = database
        self._intake = intake
        self._sources = sources
        self._apis = apis
        self._now = now

    @activity.defn
    async def pull_page(self, request: PullRequest) -> PullProgress:
        """Keep the next page of a source, and say how its pull goes on. A source that is pulled no more is at its
        end."""
        source, api = self._sources.get(request.source), self._apis.get(request.source)
        if source is None or source.pull is None or api is None:
            _log.warning("pull_without_source", source=request.source)
            return PullProgress()
        begins = cursor.first(self._now(), source.pull.overlap)
        kept_since = cursor.kept_since(source.vendor.name, self._now())
        at = await self._database.write(cursors.begin, source.name, begins, kept_since, self._now())
        try:
            page = await api.page(at.cursor.since, at.cursor.place)
            if page.next is not None and page.next == at.cursor.place:
                raise NotTold(Trouble.BROKEN, "its list goes on where it began")
        except NotTold as error:
            return await self._not_told(source, at, error, request.troubles + 1)
        is_over = await self._database.write(self._keep, source, at, page)
        return PullProgress(more=not is_over, told=True)

    async def _keep(self, connection: AsyncConnection, source: ConnectedSource, at: Pulled, page: Page) -> bool:
        """Keep a page and move the cursor. Return whether it was the last one."""
        assert source.pull is not None
        now = self._now()
        if not await cursors.is_still(connection, source.name, at.version):
            return False  # another pull, or a person, moved it: what it stands at now is asked for next
        events = [reading.read(source, each) for each in page.events]
        became = await keeping.keep(connection, source, events, self._intake, now)
        known = sum(each.repeated for each in became)
        moved = cursor.after_page(at.cursor, page.next, page.at, now, source.pull.overlap)
        await cursors.move(connection, source.name, moved, new=len(became) - known, known=known, now=now)
        _log.info("source_pulled", source=source.name, events=len(became), known=known, more=page.next is not None)
        return page.next is None

    async def _not_told(self, source: ConnectedSource, at: Pulled, error: NotTold, troubles: int) -> PullProgress:
        """Note why a source did not answer, and say when it is asked again."""
        back = error.trouble is Trouble.REFUSED and at.cursor.place is not None
        stays = cursor.from_its_beginning(at.cursor) if back else at.cursor
        await self._database.write(cursors.trouble, source.name, at.version, stays, str(error))
        _log.warning("source_not_pulled", source=source.name, trouble=error.trouble.value, why=str(error))
        if error.trouble is Trouble.DENIED or troubles >= _TRIES:
            return PullProgress()
        pause = error.after or min(timedelta(seconds=2**troubles), _LONGEST_PAUSE)
        return PullProgress(more=True, again_after=pause)
