"""The page of instructions for the bank: those that were exported, and the form that exports those that wait."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper, SentForm, Visit
from referral_rewards.api.exporting import LeftOut, export
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.payouts import exporting
from referral_rewards.reporting import instructions as reporting

router = APIRouter(prefix="/payouts/instructions")

_ON_A_PAGE: Final = 50
_COUNTED_MAX: Final = 1_000


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


async def _page(parts: Parts, visit: Visit, after: str = "", left_out: Sequence[LeftOut] = ()) -> Response:
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
        next=found[-1].key if len(rows) > _ON_A_PAGE else None,
    )
