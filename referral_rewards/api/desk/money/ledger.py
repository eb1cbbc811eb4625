"""The books: the trial balance, by kind of account and then account by account, and the files of it."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.pages import Start, counted, page
from referral_rewards.api.desk.session.visiting import Bookkeeper
from referral_rewards.api.desk.words import day_in
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.api.v1.money.ledger import FileFormat, file_of
from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.reporting.books.balances import Wanted, balances, count, totals_by_kind
from referral_rewards.reporting.books.journal import Span, see_one_moment

router = APIRouter()

_ON_A_PAGE: Final = 100
Typed = Annotated[str, Query(max_length=300, pattern=TEXT)]


@router.get("/ledger")
async def trial_balance(
    visit: Bookkeeper,
    parts: Its,
    at: Typed = "",
    kind: Typed = "",
    account: Typed = "",
    after: Typed = "",
    start: Start = 1,
) -> Response:
    """The trial balance of a moment, a page of accounts at a time."""
    day, wanted_kind = day_in(at, "at"), _kind(kind)
    before = Span.of(None, day).ends_before
    currency, _, name = after.partition(" ")
    wanted = Wanted(
        before=before,
        kind=wanted_kind,
        begins=account.strip(),
        after=(name, currency) if after else None,
        limit=_ON_A_PAGE + 1,
    )
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        found = [each async for each in balances(connection, wanted)]
        columns = await totals_by_kind(connection, before)
        shown, more = found[:_ON_A_PAGE], len(found) > _ON_A_PAGE
        rows = await counted(start, len(shown), more=more, total=lambda: count(connection, wanted))
    return page(
        "ledger.html",
        visit,
        here="/ledger",
        typed={"at": day.isoformat() if day else "", "kind": wanted_kind or "", "account": account.strip()},
        accounts=shown,
        totals=columns,
        counted=rows,
        following=f"{shown[-1].currency} {shown[-1].account}" if more else None,
        later=bool(after),
        kinds=list(AccountKind),
    )


@router.get("/ledger/export")
async def export(visit: Bookkeeper, parts: Its, format: FileFormat, until: Typed = "") -> Response:  # noqa: A002
    """The books as a file."""
    return await file_of(parts.database, format, Span.of(None, day_in(until, "until")))


def _kind(typed: str) -> AccountKind | None:
    try:
        return AccountKind(typed) if typed else None
    except ValueError:
        raise RequestInvalid(f"{typed!r} is no kind of account: {', '.join(AccountKind)}", "kind") from None
