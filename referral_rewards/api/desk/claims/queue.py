"""The queue of what waits for a person, with search, sorting, paging and saved views."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BeforeValidator, Field, ValidationError

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import Counted, page, part
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import first_upper
from referral_rewards.api.v1.claims.queue import file_of
from referral_rewards.domain.claims.findings import Recommendation
from referral_rewards.domain.decisions.setting_aside import MAY_SET_ASIDE
from referral_rewards.domain.decisions.waiting import Sort, Waits
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.register.queue import saved_views
from referral_rewards.reporting.lists.asked import zone_of
from referral_rewards.reporting.queue import entries as waiting
from referral_rewards.reporting.queue import sheet
from referral_rewards.reporting.queue.conditions import Asking
from referral_rewards.reporting.queue.counts import Counts, counts
from referral_rewards.reporting.queue.filters import FLAGS, Filters
from referral_rewards.reporting.shape import Count

router = APIRouter()

_HERE: Final = "/queue"


def _from_one(given: object) -> object:
    """Count from one where an address holds no number that a page can begin with."""
    return given if isinstance(given, str) and re.fullmatch("[1-9][0-9]{0,8}", given) else 1


class Asked(Filters):
    """What an address of the queue asks for: filters as the API takes them, and the number of its first entry."""

    start: Annotated[int, BeforeValidator(_from_one), Field(exclude=True)] = 1
    format: Annotated[Literal["csv"] | None, Field(exclude=True)] = None


AskedFor = Annotated[Asked, Query()]

EXCEPTIONS: Final = {
    Waits.APPROVAL: "Approvals",
    Waits.LATE_FACT: "Late facts",
    Waits.APPEAL: "Appeals",
    Waits.CLAWBACK: "Clawback cases",
    Waits.PAYOUT_MANUAL_REVIEW: "Payouts to look into",
    Waits.PAYOUT_REFUSED: "Refused payouts",
    Waits.PAYOUT_RETURNED: "Returned payouts",
    Waits.PAYOUT_WAITING_FUNDS: "Payouts waiting for funds",
    Waits.PAYOUT_UNKNOWN: "Payouts with unknown outcome",
    Waits.PAYOUT_APPROVED: "Instructions to export",
    Waits.PAYOUT_ACCEPTED: "Payments to confirm",
    Waits.WAITING_METHOD: "Rewards to redirect",
    Waits.CYCLE: "Cycles to release",
    Waits.RAIL_HALTED: "Rails to open again",
    Waits.RAIL_SHUT: "Rails that do not let us in",
    Waits.FORGOTTEN_PAYMENT: "Forgotten payments",
    Waits.REPORTED: "Reported purchases",
    Waits.CLOSED_IN_CONFLICT: "Closed, records differ",
    Waits.PARKED: "Parked facts",
    Waits.UNLINKED_CLAIM: "Claims without a referrer",
    Waits.UNLINKED_ORDER: "Orders without a referral",
    Waits.UNREAD_EVENT: "Events not read",
}
ROLES: Final = tuple(role for role in Role if role is not Role.ADMINISTRATOR)


@router.get("/queue")
async def show_queue(visit: Reader, parts: Its, asked: AskedFor) -> Response:
    """A page of the queue, with what is asked for in its address."""
    now, asking = datetime.now(UTC), Asking(visit.user.name, visit.user.roles)
    if asked.format == "csv":
        return await file_of(parts, asked, asking, now)
    async with parts.database.reading() as connection:
        totals = await sheet.totals(connection, asked, asking, now)
        zone = await zone_of(connection, asked.program)
    return page("queue.html", visit, totals=totals, days_in=zone, **await _shown(visit, parts, asked))


@router.get("/queue/rows")
async def show_rows(visit: Reader, parts: Its, asked: AskedFor) -> Response:
    """The part of it that changes by itself, for a page that is open."""
    return part("queue_rows.html", visit, **await _shown(visit, parts, asked))


@router.post("/queue/views")
async def save_view(visit: Reader, form: SentForm, parts: Its) -> Response:
    """Keeps what the page was asked for under a name, or forgets a view of that name."""
    name, query = str(form.get("name") or "").strip(), _as_asked(str(form.get("query") or ""))
    if form.get("act") == "delete":
        await parts.database.write(saved_views.delete, visit.user.name, name)
    else:
        await parts.database.write(saved_views.save, visit.user.name, name, query)
    return RedirectResponse(f"/queue?{query}", HTTPStatus.SEE_OTHER)


async def _shown(visit: Visit, parts: Parts, asked: Asked) -> dict[str, Any]:
    now = datetime.now(UTC)
    asking = Asking(visit.user.name, visit.user.roles)
    async with parts.database.reading() as connection:
        found = await waiting.page(connection, parts.keys, asked, asking, now)
        counted = await counts(connection, now)
        kept = await saved_views.of_user(connection, visit.user.name)
    counted_here = _counted(asked, counted, len(found.entries), found.next is not None)
    return {
        "here": _HERE,
        "counted": counted_here,
        "start": asked.start,
        "found": found,
        "filters": asked,
        "counts": counted,
        "may_set_aside": bool(visit.user.roles & MAY_SET_ASIDE) and Scope.CLAIMS_DECIDE in visit.user.scopes,
        "id_of_rail": rail_id,
        "now": now,
        "views": kept,
        "query": urlencode(asked.query),
        "next": urlencode({**asked.query, "after": found.next, "start": counted_here.following})
        if found.next
        else None,
        "sorts": [(each, first_upper(label("sort", each))) for each in Sort],
        "exceptions": EXCEPTIONS,
        "flags": {each: label("flag", each) for each in FLAGS},
        "roles": [(each, label("role", each)) for each in ROLES],
        "recommendations": [(each, label("recommendation", each)) for each in Recommendation],
        "programs": [(name, f"{name} ({count})") for name, count in sorted(counted.programs.items())],
    }


def _counted(asked: Asked, counted: Counts, number: int, more: bool) -> Counted:
    """Which entries of how many: all are counted by one filter at most, else only where the list ends here."""
    total = None if more else Count(count=asked.start + number - 1, at_least=False)
    if more:
        match asked.query:
            case {"exception": name} as only if only.keys() <= {"exception", "sort"}:
                total = counted.exceptions.get(name)
            case {"program": name} as only if only.keys() <= {"program", "sort"}:
                total = counted.programs.get(name)
            case {"overdue": _} as only if only.keys() <= {"overdue", "sort"}:
                total = counted.overdue
            case query if query.keys() <= {"sort"} and asked.sort in _WITH_ALL:
                total = counted.all
    return Counted(asked.start, number, total)


#: In these orders nothing is left out for want of an amount or a deadline.
_WITH_ALL: Final = (Sort.OLDEST, Sort.NEWEST)


def _as_asked(query: str) -> str:
    """A query as a page of ours would write it.

    Raises:
        RequestInvalid: if no page of ours can be asked so.
    """
    try:
        return urlencode(Filters.model_validate(dict(parse_qsl(query))).query)
    except ValidationError:
        raise RequestInvalid("The queue has no such filters.", "query") from None
