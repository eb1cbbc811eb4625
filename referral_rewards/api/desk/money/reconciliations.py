"""Reconciliations on the desk: starting one, the list, and the differences."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response

from referral_rewards.api.dependencies import Its, Reading
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper, SentForm
from referral_rewards.api.desk.words import day_in
from referral_rewards.api.v1.money.reconciliations import DAYS, begun
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.programs.terms import Role
from referral_rewards.reporting import reconciliations
from referral_rewards.reporting.books.journal import Span

router = APIRouter(prefix="/reconciliations")

_NEWEST: Final = 50
_ON_A_PAGE: Final = 100


@router.get("")
async def list_reconciliations(visit: Bookkeeper, connection: Reading) -> Response:
    """The newest ones, and the form that begins another."""
    return page(
        "reconciliations.html",
        visit,
        here="/ledger",
        found=await reconciliations.newest(connection, _NEWEST),
        rails=sorted(rail_catalogue.CATALOGUE),
        may_begin=Role.FINANCE in visit.user.roles,
        days=DAYS,
        today=datetime.now(UTC).date(),
    )


@router.post("")
async def begin_reconciliation(visit: Bookkeeper, form: SentForm, parts: Its) -> Response:
    """Begins one and shows it."""
    span = Span.of(day_in(str(form.get("since", "")), "since"), day_in(str(form.get("until", "")), "until"))
    name = await parts.database.write(begun, visit.user, str(form.get("rail", "")), span)
    return RedirectResponse(f"/reconciliations/{name}", HTTPStatus.SEE_OTHER)


@router.get("/{reconciliation}")
async def show_reconciliation(
    reconciliation: str, visit: Bookkeeper, connection: Reading, after: Annotated[UUID | None, Query()] = None
) -> Response:
    """Show a reconciliation's state and its differences."""
    try:
        name = UUID(reconciliation)
    except ValueError:
        raise NotFound("reconciliation", reconciliation) from None
    shown = await reconciliations.reconciliation(connection, name)
    found = await reconciliations.differences(connection, name, after=after, limit=_ON_A_PAGE + 1)
    listed = found[:_ON_A_PAGE]
    return page(
        "reconciliation.html",
        visit,
        here="/ledger",
        shown=shown,
        found=[difference for _, difference in listed],
        following=listed[-1][0] if len(found) > len(listed) else None,
    )
