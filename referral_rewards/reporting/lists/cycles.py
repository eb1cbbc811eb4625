"""The list of payout cycles."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.cycles.cycle import Cycle
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.money import display
from referral_rewards.register import typed_rows
from referral_rewards.reporting.cycles import CycleInList, in_list
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.reading import Given, Listing, Order, Totals
from referral_rewards.reporting.lists.sheets import Sheet


@dataclass(frozen=True, slots=True)
class Wanted(Asked):
    """Filters of the list; None means any. Days are those on which cycles are due, each by its program's calendar."""

    program: str | None = None
    state: CycleState | None = None


async def page(connection: AsyncConnection, wanted: Wanted) -> list[CycleInList]:
    """Return a page of cycles, the latest due first unless another order is asked for."""
    statement, asked = LISTING.page("c.*", "", wanted, _given(wanted))
    return [in_list(row) for row in await typed_rows.read(connection, Cycle, statement, asked)]


async def totals(connection: AsyncConnection, wanted: Wanted) -> Totals:
    """Return what the lists of all cycles that match come to."""
    return await LISTING.totals(connection, wanted, _given(wanted))


def _given(wanted: Wanted) -> Given:
    return {"program": wanted.program, "state": wanted.state}


# A program has one cycle a month or a week, so there are few.
LISTING: Final = Listing(
    found="payout_cycle c",
    id="c.id",
    id_type="uuid",
    dated="c.due_on",
    by_day=True,
    filters={"program": "c.program = :program", "state": "c.state = :state"},
    orders={
        "newest": Order(("c.due_on", "c.id"), down=True),
        "oldest": Order(("c.due_on", "c.id")),
    },
    currency="coalesce(its.currency, c.currency)",
    sums={"amount": "coalesce(its.amount_minor, 0)"},
    totalled="""
LEFT JOIN LATERAL (
    SELECT t.currency, sum(t.amount_minor) AS amount_minor
    FROM jsonb_to_recordset(coalesce(c.summary->'totals', '[]')) AS t(currency text, amount_minor bigint)
    GROUP BY t.currency
) AS its ON true
""",
)

CYCLES: Final[Sheet[Wanted, CycleInList]] = Sheet(
    name="cycles",
    page=page,
    totals=totals,
    place=lambda row: str(row.cycle),
    columns={
        "cycle": lambda row: str(row.cycle),
        "program": lambda row: row.program,
        "due_on": lambda row: row.due_on.isoformat(),
        "state": lambda row: row.state,
        "payouts": lambda row: sum(each.payouts for each in row.summary.totals),
        "total": lambda row: _amounts(row),
        "opened_at": lambda row: row.opened_at,
        "frozen_at": lambda row: row.frozen_at,
        "done_at": lambda row: row.done_at,
    },
)


def _amounts(row: CycleInList) -> str:
    return "; ".join(f"{display(each.amount_minor, each.currency)} {each.rail}" for each in row.summary.totals)
