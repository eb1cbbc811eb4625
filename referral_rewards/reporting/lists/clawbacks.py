"""The list of clawback cases."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.register import typed_rows
from referral_rewards.reporting.clawbacks import BESIDE, CASE, COLUMNS, CaseInList, CaseRow, in_list
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.reading import Given, Listing, Order, Totals
from referral_rewards.reporting.lists.sheets import Sheet, amount


@dataclass(frozen=True, slots=True)
class Wanted(Asked):
    """Filters of the list; None means any. Days are those on which cases were opened."""

    state: CaseState | None = None
    program: str | None = None
    payee: str | None = None
    referral: str | None = None


async def page(connection: AsyncConnection, wanted: Wanted) -> list[CaseInList]:
    """Return a page of cases, the newest first unless another order is asked for."""
    statement, asked = LISTING.page(COLUMNS, BESIDE, wanted, _given(wanted))
    return await in_list(connection, await typed_rows.read(connection, CaseRow, statement, asked))


async def totals(connection: AsyncConnection, wanted: Wanted) -> Totals:
    """Return what all cases that match come to: what they propose to take, what was recovered and written off."""
    return await LISTING.totals(connection, wanted, _given(wanted))


def _given(wanted: Wanted) -> Given:
    return {
        "state": wanted.state,
        "program": wanted.program,
        "payee": wanted.payee,
        "referral": wanted.referral,
    }


LISTING: Final = Listing(
    found=CASE,
    id="c.id",
    id_type="uuid",
    dated="c.opened_at",
    filters={
        "state": "c.state = :state",
        "program": "l.program = :program",
        "payee": "l.beneficiary = :payee",
        "referral": "c.referral_id = :referral",
    },
    orders={
        "newest": Order(("c.opened_at", "c.id"), down=True),
        "oldest": Order(("c.opened_at", "c.id")),
        "amount_high": Order(("l.currency", "l.amount_minor", "c.id"), down=True),
        "amount_low": Order(("l.currency", "l.amount_minor", "c.id")),
    },
    currency="l.currency",
    sums={
        "proposed": "coalesce(c.proposed_minor, 0)",
        "recovered": "done.recovered_minor",
        "written_off": "done.written_off_minor",
    },
    # Of each case its own clawbacks: of one reward there may be several cases.
    totalled=spelled(
        """
CROSS JOIN LATERAL (
    SELECT coalesce(sum(b.recovered_minor), 0) AS recovered_minor,
           coalesce(sum(b.amount_minor) FILTER (WHERE b.state = :written_off), 0) AS written_off_minor
    FROM clawback b WHERE b.case_id = c.id
) AS done
""",
        written_off=ClawbackState.WRITTEN_OFF,
    ),
    totalled_max=10_000,
)

CASES: Final[Sheet[Wanted, CaseInList]] = Sheet(
    name="clawbacks",
    page=page,
    totals=totals,
    place=lambda row: str(row.case),
    columns={
        "case": lambda row: str(row.case),
        "payee": lambda row: row.payee,
        "program": lambda row: row.program,
        "referral": lambda row: row.referral,
        "state": lambda row: row.state,
        "why": lambda row: row.why,
        "currency": lambda row: row.currency,
        "paid": lambda row: amount(row.paid_minor, row.currency),
        "proposed": lambda row: amount(row.proposed_minor, row.currency),
        "recovered": lambda row: amount(row.recovered_minor, row.currency),
        "written_off": lambda row: amount(row.written_off_minor, row.currency),
        "returned": lambda row: amount(row.returned_minor, row.currency),
        "remaining": lambda row: amount(row.room_minor, row.currency),
        "opened_at": lambda row: row.opened_at,
        "settled_at": lambda row: row.settled_at,
    },
)
