"""Reconcile with a rail: save what it lists, compare that with our payouts, and record every difference."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import Place, ReconciliationProgress, ReconciliationRequest
from activities.moment import moment
from activities.queues import NONE_APART, Queues
from models.session import UNREACHABLE, Database
from referral_rewards.domain.books.reconciliation import (
    Difference,
    Listed,
    ReconciliationState,
    as_listed,
    compare,
    of_nobody,
    to_be_asked_for,
    unseen,
)
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.rail_catalogue import Sight
from referral_rewards.domain.payouts.states import Accepted, Answer, Declined, Misconfigured, Paid, Unknown
from referral_rewards.rails.port import Rail
from referral_rewards.register.reconciliations import after_restore, two_sides
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.register.reconciliations.two_sides import Held, Reconciliation
from referral_rewards.register.restores import forgotten, halting

#: How many payouts are compared in one transaction.
_AT_ONCE: Final = 200
#: Margins around the span: a provider's clock may be behind ours, and it may carry out a payment later than we sent it.
_BEFORE: Final = timedelta(hours=1)
_AFTER: Final = timedelta(days=1)
#: A user waits for the outcome, so what is not the database's silence is reported as a failure after half a minute.
_ATTEMPTS: Final = 6


class Reconciliations:
    """The activities of a reconciliation. Each sends at most one request to a rail, because requests are limited. They
    only read from the rail and record; they never change a payout.

    ``queues`` knows the rails that only workers of another task queue may call.
    """

    def __init__(self, database: Database, rails: Mapping[str, Rail], queues: Queues = NONE_APART) -> None:
        self._database = database
        self._rails = rails
        self._queues = queues

    @activity.defn
    async def route_reconciliation(self, reconciliation: str) -> str | None:
        """Return the task queue whose workers call the rail; None means the workflow's own queue."""
        asked = await self._asked(reconciliation)
        async with self._database.reading() as connection:
            return await self._queues.of(connection, asked.rail, datetime.now(UTC))

    @activity.defn
    async def list_page(self, request: ReconciliationRequest) -> ReconciliationProgress:
        """Save the next page of the rail's list of the span, with one request. Return the number of payments and where
        to continue. Run again, it saves each payment only once."""
        with _patience():
            return await self._list_page(request)

    async def _list_page(self, request: ReconciliationRequest) -> ReconciliationProgress:
        asked = await self._asked(request.reconciliation)
        if asked.state in (ReconciliationState.DONE, ReconciliationState.FAILED):
            return ReconciliationProgress(place=None)
        rail = self._rail(asked)
        place = request.place or await self._next_payee(rail, asked, Place())
        count = 0
        if place is not None:
            since, until = asked.since_at - _BEFORE, asked.until_at + _AFTER
            page = await rail.listed(since, until, place.payee, place.after)
            if isinstance(page, Misconfigured):
                raise _impossible(f"{label('rail', asked.rail)} refused our credentials: {page.why}")
            if isinstance(page, Unknown):
                raise ApplicationError(f"the list of the rail {asked.rail} broke off: {page.why}")
            await self._database.write(two_sides.keep_listed, asked, page.payments)
            if page.next is not None and page.next == place.after:
                raise ApplicationError(f"the list of the rail {asked.rail} goes on where it began")
            count, before = len(page.payments), place
            place = Place(payee=before.payee, after=page.next) if page.next is not None else None
            if place is None and before.payee is not None:
                place = await self._next_payee(rail, asked, before)
        if place is None:
            await self._database.write(reconciliations.listing_done, asked.id, rail.facts.sight)
        return ReconciliationProgress(place=place, count=count)

    @activity.defn
    async def compare_some(self, request: ReconciliationRequest) -> ReconciliationProgress:
        """Compare our next payouts of the span with the rail's list. Stop after the first one that must be looked up,
        which takes one request. Return where to continue or, when all are compared, the number of differences."""
        with _patience():
            return await self._compare_some(request)

    async def _compare_some(self, request: ReconciliationRequest) -> ReconciliationProgress:
        asked = await self._asked(request.reconciliation)
        if asked.state in (ReconciliationState.DONE, ReconciliationState.FAILED):
            return ReconciliationProgress(place=None, count=asked.differences)
        rail = self._rail(asked)
        after = UUID(request.place.after) if request.place and request.place.after else None
        async with self._database.reading() as connection:
            ours = await two_sides.held(connection, asked, after, _AT_ONCE)
            theirs = await two_sides.listed_of(connection, asked.id, [each.ours.payout for each in ours])
        found, compared = list[Difference](), 0
        for each in ours:
            compared += 1
            listed = theirs[each.ours.payout]
            if to_be_asked_for(each.ours, listed, rail.facts.sight):
                found += await _compared_by_asking(rail, each, asked.asked_at)
                break
            found += compare(each.ours, listed, asked.asked_at)
        await self._database.write(reconciliations.note, asked.id, found)
        if compared < len(ours) or len(ours) == _AT_ONCE:
            return ReconciliationProgress(place=Place(after=str(ours[compared - 1].ours.payout)))
        await self._database.write(_halt_if_restored, asked, moment(request.now))
        return ReconciliationProgress(
            place=None, count=await self._database.write(_conclude, asked, moment(request.now))
        )

    @activity.defn
    async def abandon_reconciliation(self, request: ReconciliationRequest, why: str) -> None:
        """Record that the reconciliation failed, and why."""
        try:
            name = UUID(request.reconciliation)
        except ValueError:
            return
        await self._database.write(reconciliations.failed, name, why, moment(request.now))

    async def _next_payee(self, rail: Rail, asked: Reconciliation, place: Place) -> Place | None:
        """Return where the next list begins. On a rail that lists one payee at a time this is the next payee whom we
        paid in the span, or None after the last one; on any other rail it is ``place``."""
        if rail.facts.sight is not Sight.PAYEES:
            return place
        async with self._database.reading() as connection:
            found = await two_sides.destinations(connection, asked, place.payee or "", 1)
        return Place(payee=found[0]) if found else None

    async def _asked(self, reconciliation: str) -> Reconciliation:
        try:
            async with self._database.reading() as connection:
                return await reconciliations.row(connection, UUID(reconciliation))
        except (ValueError, NotFound):
            raise _impossible("there is no such reconciliation") from None

    def _rail(self, asked: Reconciliation) -> Rail:
        if asked.rail not in self._rails:
            raise _impossible(f"{label('rail', asked.rail)} is not connected")
        return self._rails[asked.rail]


async def _halt_if_restored(connection: AsyncConnection, asked: Reconciliation, now: datetime) -> None:
    """Halt what pays outside if the listed payments say that the register was restored to an earlier state: nothing
    more is sent before it is looked into."""
    restored_to = await halting.shown(connection, asked.id, asked.rail, now)
    if restored_to is not None:
        await after_restore.reconcile(connection, restored_to, now, by=f"restore found by {asked.rail}")


async def _conclude(connection: AsyncConnection, asked: Reconciliation, now: datetime) -> int:
    """Record the listed payments that belong to no payout of ours, and finish. Return the number of differences."""
    strangers = [each async for each in two_sides.of_nobody(connection, asked)]
    alone = [difference for each in strangers if (difference := of_nobody(each)) is not None]
    await reconciliations.note(connection, asked.id, alone)
    await forgotten.find(connection, asked.id, asked.rail, now)
    await reconciliations.done(connection, asked, now)
    return (await reconciliations.row(connection, asked.id)).differences


async def _compared_by_asking(rail: Rail, held: Held, asked_at: datetime) -> list[Difference]:
    """Look up a payout that the rail did not list, and return how the answer differs from our record."""
    listed, ours = list[Listed](), held.ours
    answer = await _asked_for(rail, held)
    match answer:
        case Paid() | Accepted() | Declined():
            listed = [as_listed(ours, answer, held.request.destination)]
        case Unknown(why):
            return [unseen(ours, why)]
        case Misconfigured(why):
            raise _impossible(f"{label('rail', rail.facts.name)} refused our credentials: {why}")
    return compare(ours, listed, asked_at)


async def _asked_for(rail: Rail, held: Held) -> Answer | None:
    ours = held.ours
    if rail.facts.looks_up:
        return await rail.look_up(held.request, ours.key)
    return await rail.poll(held.request, ours.key, ours.reference or "")


@contextmanager
def _patience() -> Iterator[None]:
    """Wait without limit for the database, whose silence says nothing of the rail: the server repeats the activity. Let
    any other error be the last one after some attempts."""
    try:
        yield
    except UNREACHABLE:
        raise
    except Exception as error:
        if not activity.in_activity() or activity.info().attempt < _ATTEMPTS:
            raise
        raise _impossible(str(error)) from error


def _impossible(why: str) -> ApplicationError:
    """An error that a retry cannot help."""
    return ApplicationError(why, non_retryable=True)
