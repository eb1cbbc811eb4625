"""Reconciling with a rail: keep what it lists, compare that with ours, and put on record what does not agree."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import ReconciliationRequest
from activities.moment import moment
from models.session import Database
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts import Accepted, Declined, Misconfigured, Paid, PayoutState, Unknown
from referral_rewards.domain.reconciliation import (
    Difference,
    Listed,
    Sight,
    as_listed,
    compare,
    of_nobody,
    unseen,
)
from referral_rewards.rails.port import Rail
from referral_rewards.register import listed_payments, reconciliations
from referral_rewards.register.listed_payments import Held
from referral_rewards.register.reconciliations import State

#: What is written or read in one transaction.
_AT_ONCE: Final = 200
#: A provider's clock may go behind ours, and what we first sent at the end of a span may have been carried out later.
_BEFORE: Final = timedelta(hours=1)
_AFTER: Final = timedelta(days=1)


class Reconciliations:
    """The activities behind a reconciliation. They ask and write down; no payout is moved by what a rail shows.

    ``elsewhere`` names the task queues whose workers alone call some of the rails.
    """

    def __init__(
        self, database: Database, rails: Mapping[str, Rail], elsewhere: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._database = database
        self._rails = rails
        self._elsewhere = elsewhere

    @activity.defn
    async def route_reconciliation(self, reconciliation: str) -> str | None:
        """The task queue whose workers call the rail; None: the workflow's own."""
        return self._elsewhere.get((await self._asked(reconciliation)).rail)

    @activity.defn
    async def list_payments(self, request: ReconciliationRequest) -> int:
        """Keeps all that the rail lists of the span; how many payments. Run again, it keeps each once."""
        asked = await self._asked(request.reconciliation)
        if asked.state in (State.DONE, State.FAILED):
            return int(asked.theirs)
        rail = self._rail(asked)
        since, until = asked.since_at - _BEFORE, asked.until_at + _AFTER
        count, page = 0, list[Listed]()
        async for each in rail.listed(since, until, self._payees(asked)):
            activity.heartbeat()
            if isinstance(each, Misconfigured):
                raise _impossible(f"the rail {asked.rail} does not let us in: {each.why}")
            if isinstance(each, Unknown):
                raise ApplicationError(f"the list of the rail {asked.rail} broke off: {each.why}")
            page.append(each)
            if len(page) == _AT_ONCE:
                count += await self._keep(asked, page)
        count += await self._keep(asked, page)
        async with self._database.transaction() as connection:
            await reconciliations.listing_done(connection, asked.id, rail.sight)
        return count

    @activity.defn
    async def compare_payments(self, request: ReconciliationRequest) -> int:
        """Compares each of our payouts of the span with what was listed, and asks the rail for those that were not.

        Killed and run again, it goes on after the last payouts that were compared; how many differences there are.
        """
        asked = await self._asked(request.reconciliation)
        if asked.state in (State.DONE, State.FAILED):
            return int(asked.differences)
        rail = self._rail(asked)
        details = activity.info().heartbeat_details
        after = UUID(details[0]) if details else None
        while True:
            async with self._database.transaction() as connection:
                ours = await listed_payments.held(connection, asked, after, _AT_ONCE)
                names = [each.ours.payout for each in ours]
                theirs = await listed_payments.listed_of(connection, asked.id, names)
            found = [difference for each in ours for difference in await _compared(rail, each, theirs, after)]
            async with self._database.transaction() as connection:
                await reconciliations.note(connection, asked.id, found)
            if len(ours) < _AT_ONCE:
                break
            after = names[-1]
            activity.heartbeat(str(after))
        async with self._database.transaction() as connection:
            strangers = [each async for each in listed_payments.of_nobody(connection, asked)]
            alone = [difference for each in strangers if (difference := of_nobody(each)) is not None]
            await reconciliations.note(connection, asked.id, alone)
            await reconciliations.done(connection, asked, moment(request.now))
            return int((await reconciliations.row(connection, asked.id)).differences)

    @activity.defn
    async def abandon_reconciliation(self, request: ReconciliationRequest, why: str) -> None:
        """Puts on record that it came to nothing."""
        try:
            name = UUID(request.reconciliation)
        except ValueError:
            return
        async with self._database.transaction() as connection:
            await reconciliations.failed(connection, name, why, moment(request.now))

    async def _keep(self, asked: Any, page: list[Listed]) -> int:
        kept = len(page)
        async with self._database.transaction() as connection:
            await listed_payments.keep_listed(connection, asked, page)
        page.clear()
        return kept

    async def _payees(self, asked: Any) -> AsyncIterator[str]:
        """Whom we paid in the span. A rail may take long over each: no transaction waits for it."""
        after = ""
        while True:
            async with self._database.transaction() as connection:
                page = await listed_payments.destinations(connection, asked, after, _AT_ONCE)
            for each in page:
                activity.heartbeat()
                yield each
            if len(page) < _AT_ONCE:
                return
            after = page[-1]

    async def _asked(self, reconciliation: str) -> Any:
        try:
            async with self._database.transaction() as connection:
                return await reconciliations.row(connection, UUID(reconciliation))
        except (ValueError, NotFound):
            raise _impossible("there is no such reconciliation") from None

    def _rail(self, asked: Any) -> Rail:
        if asked.rail not in self._rails:
            raise _impossible(f"the rail {asked.rail} is not connected here")
        return self._rails[asked.rail]


async def _compared(
    rail: Rail, held: Held, theirs: Mapping[UUID, Sequence[Listed]], after: UUID | None
) -> list[Difference]:
    """How a payout differs; where nothing of it is listed, from what the rail says when it is asked."""
    listed, ours = theirs[held.ours.payout], held.ours
    settled = ours.state is PayoutState.SETTLED
    if not listed and (settled or (rail.sight is Sight.OURS and ours.reference is not None)):
        activity.heartbeat(*([str(after)] if after else []))
        answer = await _asked_for(rail, held)
        match answer:
            case Paid() | Accepted() | Declined():
                listed = [as_listed(ours, answer, held.request.destination)]
            case Unknown(why):
                return [unseen(ours, why)]
            case Misconfigured(why):
                raise _impossible(f"the rail {rail.terms.name} does not let us in: {why}")
    return compare(ours, listed)


async def _asked_for(rail: Rail, held: Held) -> Any:
    ours = held.ours
    if rail.terms.looks_up:
        return await rail.look_up(held.request, ours.key)
    return await rail.poll(held.request, ours.key, ours.reference or "")


def _impossible(why: str) -> ApplicationError:
    """There is no use in trying again."""
    return ApplicationError(why, non_retryable=True)
