"""Instructions for the bank: those that were exported, the form that exports those that wait, and the file of them."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper, SentForm, Visit
from referral_rewards.api.exporting import LeftOut, bank_file, export
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.payouts import exporting
from referral_rewards.reporting import instructions as reporting
from referral_rewards.reporting.instructions import Line

router = APIRouter(prefix="/payouts/instructions")

_ON_A_PAGE: Final = 50
_COUNTED_MAX: Final = 1_000
_READ_AT_ONCE: Final = 500


@router.get("")
async def list_instructions(
    visit: Bookkeeper, parts: Its, after: Annotated[str, Query(max_length=100)] = ""
) -> Response:
    """The exported instructions that wait for the bank, a page at a time, and how many wait to be exported."""
    return await _page(parts, visit, after)


@router.post("")
async def export_instructions(visit: Bookkeeper, form: SentForm, parts: Its) -> Response:
    """Exports those that wait, and shows all. Sent again, it shows the same instructions."""
    done = await export(parts, visit.user)
    return await _page(parts, visit, left_out=done.left_out)


@router.post("/file")
async def download(visit: Bookkeeper, form: SentForm, parts: Its) -> Response:
    """The file for the bank, with accounts and names in clear: that this person saw them is on record.

    If some have nothing to pay to, a page names them first, and offers the file of the others.
    """
    lines = [each async for each in _lines(parts, visit)]
    missing = [LeftOut(each.payout, each.missing) for each in lines if each.missing is not None]
    if missing and form.get("others") != "yes":
        return await _page(parts, visit, left_out=missing, of_others=True)
    name = f"instructions-{datetime.now(UTC):%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response("".join(reporting.as_csv(lines)), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(parts: Parts, visit: Visit) -> AsyncIterator[Line]:
    after: str | None = None
    while True:
        found = await bank_file(parts, visit.user, after, _READ_AT_ONCE)
        for each in found:
            yield each
        if len(found) < _READ_AT_ONCE:
            return
        after = found[-1].key


async def _page(
    parts: Parts, visit: Visit, after: str = "", left_out: Sequence[LeftOut] = (), *, of_others: bool = False
) -> Response:
    async with parts.database.reading() as connection:
        rows = await reporting.instructions(connection, after or None, _ON_A_PAGE + 1)
        waiting = await exporting.waiting(connection, None, _COUNTED_MAX)
    found = rows[:_ON_A_PAGE]
    return page(
        "instructions.html",
        visit,
        here="/payouts",
        found=found,
        waiting=len(waiting),
        may_export=Role.FINANCE in visit.user.roles,
        left_out=left_out,
        of_others=of_others,
        next=found[-1].key if len(rows) > _ON_A_PAGE else None,
    )
