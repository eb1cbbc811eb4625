"""A list on the desk: its filters as an address says them, a page of it with what all of it comes to, and its file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.pages import Counted, Start, page
from referral_rewards.api.desk.session.visiting import Visit
from referral_rewards.api.desk.words import day_in, id_in, words_in
from referral_rewards.api.v1.downloads import sent
from referral_rewards.domain.measures.measures import Days
from referral_rewards.reporting.lists.asked import UTC_ZONE, Asked, zone_of
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.lists.sheets import Sheet

_Wanted = TypeVar("_Wanted", bound=Asked)
_Row = TypeVar("_Row")

ON_A_PAGE: Final = 50
Typed = Annotated[str, Query(max_length=500)]


class Choice(NamedTuple):
    """What the address of any list says: days, order, where its page begins, and in which form."""

    days: Days
    sort: str
    after: str
    start: int
    as_file: bool


def _chosen(
    since: Annotated[Typed, Query(alias="from")] = "",
    until: Annotated[Typed, Query(alias="to")] = "",
    sort: Typed = "",
    after: Typed = "",
    start: Start = 1,
    format: Literal["", "csv"] = "",  # noqa: A002 (as the API calls it)
) -> Choice:
    days = Days.between(day_in(since, "from"), day_in(until, "to"))
    words = words_in(sort=sort, after=after)
    return Choice(days, words["sort"], words["after"], start, format == "csv")


Chosen = Annotated[Choice, Depends(_chosen)]


def of_uuids(choice: Choice) -> Choice:
    """Return the choice for a list of which only a UUID is a place; what is none begins at its beginning."""
    place = id_in(choice.after)
    return choice._replace(after=str(place) if place else "")


@dataclass(frozen=True, slots=True)
class Listed(Generic[_Row]):
    """A page of a list as a template shows it.

    ``typed`` are its own filters as they were typed; ``orders`` those that it has, the usual one first. ``query`` asks
    for all of it in this order, ``next`` for the next page, None at the end. ``zone`` is whose days are meant.
    """

    rows: Sequence[_Row]
    counted: Counted
    totals: Totals
    typed: dict[str, str]
    choice: Choice
    orders: Sequence[str]
    zone: str
    query: str
    next: str | None

    @property
    def filtered(self) -> bool:
        """Whether anything but the order was chosen, or a later page is shown."""
        return any(self.typed.values()) or any(self.choice.days) or bool(self.choice.after)


async def show(
    parts: Parts,
    visit: Visit,
    template: str,
    sheet: Sheet[_Wanted, _Row],
    choice: Choice,
    typed: dict[str, str],
    wanted: Callable[..., _Wanted],
    orders: Iterable[str],
    beside: Callable[[AsyncConnection], Any] | None = None,
    **shown: Any,
) -> Response:
    """Return a page of a list, or all of it as a file where the address asks for one.

    ``wanted`` makes the list's filters from those that all lists have; ``beside`` reads what else the page shows.

    Raises:
        RequestInvalid: if the list has no such order.
    """
    async with parts.database.reading() as connection:
        known = await zone_of(connection, typed.get("program"))
        named = bool(typed.get("program")) and known != UTC_ZONE
        its = wanted(days=choice.days, zone=known, sort=choice.sort, after=choice.after or None, limit=ON_A_PAGE + 1)
        if not choice.as_file:
            rows = await sheet.page(connection, its)
            totals = await sheet.totals(connection, its)
            more = await beside(connection) if beside else {}
            found = _listed(rows, totals, sheet, choice, typed, list(orders), known)
            return page(template, visit, zone=known if named else None, listed=found, **more, **shown)
    whole = replace(its, after=None)
    return await sent(parts.database, lambda connection: sheet.written(connection, whole), f"{sheet.name}.csv")


def _listed(
    rows: Sequence[_Row],
    totals: Totals,
    sheet: Sheet[Any, _Row],
    choice: Choice,
    typed: dict[str, str],
    orders: Sequence[str],
    zone: str,
) -> Listed[_Row]:
    shown = rows[:ON_A_PAGE]
    counted = Counted(choice.start, len(shown), totals.count)
    asked = {"from": choice.days.start, "to": choice.days.end, "sort": choice.sort, **typed}
    kept = {name: str(value) for name, value in asked.items() if value}
    following = {**kept, "after": sheet.place(shown[-1]), "start": counted.following} if len(rows) > ON_A_PAGE else None
    return Listed(
        rows=shown,
        counted=counted,
        totals=totals,
        typed=typed,
        choice=choice,
        orders=orders,
        zone=zone,
        query=urlencode(kept),
        next=urlencode(following) if following else None,
    )
