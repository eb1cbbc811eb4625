"""The queue of what waits for a person, with search, sorting, paging and saved views."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page, part
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.domain.claims.findings import Recommendation
from referral_rewards.domain.decisions.waiting import Sort, Waits
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.queue import saved_views
from referral_rewards.reporting.queue import entries as waiting
from referral_rewards.reporting.queue.counts import counts
from referral_rewards.reporting.queue.filters import FLAGS, UNFLAGGED, Filters
from referral_rewards.reporting.queue.search import Asking
from referral_rewards.reporting.rails import halted

router = APIRouter()

_HERE: Final = "/queue"
Asked = Annotated[Filters, Query()]

SORTS: Final = {
    Sort.OLDEST: "Oldest first",
    Sort.NEWEST: "Newest first",
    Sort.DEADLINE: "Next deadline (those with one)",
    Sort.AMOUNT_HIGH: "Highest amount (those with one)",
    Sort.AMOUNT_LOW: "Lowest amount (those with one)",
}
EXCEPTIONS: Final = {
    Waits.APPROVAL: "Approvals",
    Waits.LATE_FACT: "Late facts",
    Waits.CLAWBACK: "Clawback cases",
    Waits.PAYOUT_MANUAL_REVIEW: "Payouts to look at",
    Waits.PAYOUT_REFUSED: "Refused payouts",
    Waits.PAYOUT_RETURNED: "Returned payouts",
    Waits.PAYOUT_WAITING_FUNDS: "Payouts without funds",
    Waits.PAYOUT_UNKNOWN: "Payouts unknown for an hour",
    Waits.PAYOUT_ACCEPTED: "Instructions to confirm",
    Waits.CYCLE: "Cycles to release",
    Waits.REPORTED: "Reported purchases",
}
ROLES: Final = tuple(role for role in Role if role is not Role.ADMINISTRATOR)


@router.get("/queue")
async def show_queue(visit: Reader, parts: Its, filters: Asked) -> Response:
    """A page of the queue, with what is asked for in its address."""
    return page("queue.html", visit, **await _shown(visit, parts, filters))


@router.get("/queue/rows")
async def show_rows(visit: Reader, parts: Its, filters: Asked) -> Response:
    """The part of it that changes by itself, for a page that is open."""
    return part("queue_rows.html", visit, **await _shown(visit, parts, filters))


@router.post("/queue/views")
async def save_view(visit: Reader, form: SentForm, parts: Its) -> Response:
    """Keeps what the page was asked for under a name, or forgets a view of that name."""
    name, query = str(form.get("name") or "").strip(), _as_asked(str(form.get("query") or ""))
    async with parts.database.transaction() as connection:
        if form.get("act") == "delete":
            await saved_views.delete(connection, visit.user.name, name)
        else:
            await saved_views.save(connection, visit.user.name, name, query)
    return RedirectResponse(f"/queue?{query}", HTTPStatus.SEE_OTHER)


async def _shown(visit: Visit, parts: Parts, filters: Filters) -> dict[str, Any]:
    now = datetime.now(UTC)
    asking = Asking(visit.user.name, visit.user.roles)
    async with parts.database.transaction() as connection:
        found = await waiting.page(connection, parts.keys, filters, asking, now)
        counted = await counts(connection, now)
        halts = await halted(connection)
        kept = await saved_views.of_user(connection, visit.user.name)
    return {
        "here": _HERE,
        "found": found,
        "filters": filters,
        "counts": counted,
        "halts": halts,
        "now": now,
        "views": kept,
        "query": urlencode(filters.query),
        "next": urlencode({**filters.query, "after": found.next}) if found.next else None,
        "sorts": SORTS,
        "exceptions": EXCEPTIONS,
        "flags": {each: "no flag" if each == UNFLAGGED else each.replace("_", " ") for each in FLAGS},
        "roles": [(each, each.replace("_", " ")) for each in ROLES],
        "recommendations": [(each, str(each)) for each in Recommendation],
        "programs": [(name, f"{name} ({count})") for name, count in sorted(counted.programs.items())],
    }


def _as_asked(query: str) -> str:
    """A query as a page of ours would write it.

    Raises:
        RequestInvalid: if no page of ours can be asked so.
    """
    try:
        return urlencode(Filters.model_validate(dict(parse_qsl(query))).query)
    except ValidationError:
        raise RequestInvalid("is nothing that the queue can be asked", "query") from None
