"""The list of payouts."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import typed_rows
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.reading import Given, Listing, Order, Totals
from referral_rewards.reporting.lists.sheets import Sheet, amount
from referral_rewards.reporting.payouts import BRIEF, PayoutInList, PayoutRow, in_list


@dataclass(frozen=True, slots=True)
class Wanted(Asked):
    """Filters of the list; None means any. Days are those on which payouts were planned."""

    state: PayoutState | None = None
    rail: str | None = None
    program: str | None = None
    payee: str | None = None
    referral: str | None = None
    cycle: UUID | None = None


async def page(connection: AsyncConnection, wanted: Wanted) -> list[PayoutInList]:
    """Return a page of payouts, the newest first unless another order is asked for."""
    statement, asked = LISTING.page(BRIEF, "", wanted, _given(wanted))
    return [in_list(row) for row in await typed_rows.read(connection, PayoutRow, statement, asked)]


async def totals(connection: AsyncConnection, wanted: Wanted) -> Totals:
    """Return what all payouts that match come to."""
    return await LISTING.totals(connection, wanted, _given(wanted))


def _given(wanted: Wanted) -> Given:
    return {
        "state": wanted.state,
        "rail": wanted.rail,
        "program": wanted.program,
        "payee": wanted.payee,
        "referral": wanted.referral,
        "cycle": wanted.cycle,
    }


LISTING: Final = Listing(
    found="payout p",
    id="p.id",
    id_type="uuid",
    dated="p.created_at",
    filters={
        "state": "p.state = :state",
        "rail": "p.rail = :rail",
        "program": "p.body->>'program' = :program",
        "payee": "p.payee = :payee",
        "cycle": "p.cycle_id = :cycle",
        "referral": "p.id IN (SELECT pl.payout_id FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id"
        " WHERE l.referral_id = :referral"
        " UNION SELECT id FROM payout WHERE referral_id = :referral AND returns IS NOT NULL)",
    },
    orders={
        "newest": Order(("p.created_at", "p.id"), down=True),
        "oldest": Order(("p.created_at", "p.id")),
        "amount_high": Order(("p.currency", "p.amount_minor", "p.id"), down=True),
        "amount_low": Order(("p.currency", "p.amount_minor", "p.id")),
    },
    currency="p.currency",
    sums={"amount": "p.amount_minor"},
)

PAYOUTS: Final[Sheet[Wanted, PayoutInList]] = Sheet(
    name="payouts",
    page=page,
    totals=totals,
    place=lambda row: str(row.payout),
    columns={
        "payout": lambda row: str(row.payout),
        "payee": lambda row: row.payee,
        "program": lambda row: row.program,
        "referral": lambda row: row.referral,
        "cycle": lambda row: None if row.cycle is None else str(row.cycle),
        "amount": lambda row: amount(row.amount_minor, row.currency),
        "currency": lambda row: row.currency,
        "rail": lambda row: row.rail,
        "state": lambda row: row.state,
        "why": lambda row: row.why,
        "key": lambda row: row.key,
        "reference": lambda row: row.reference,
        "planned_at": lambda row: row.created_at,
        "first_sent_at": lambda row: row.first_sent_at,
        "settled_at": lambda row: row.settled_at,
    },
)
