"""Rails that nothing is sent over, and payments that a restored register forgot: brought there as they come about."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import text

from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.restores.forgotten import PaymentState
from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.register import rail_halts
from referral_rewards.register.queue import rails as queue
from referral_rewards.register.restores import halting
from tests.desk import Desk
from tests.stuck.money import PAYOUT, Row

_A, _S, _W = MoneyAct, PaymentState, Waits
PAYMENT: Final = UUID(int=77)


class RailState(StrEnum):
    """Whether anything is sent over a rail."""

    OPEN = "open"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class Place:
    """How it is brought there, the path of its subject in the API, its key in the queue, and its page on the desk."""

    bring: Callable[[Desk], Awaitable[None]]
    path: str
    subject: str
    page: str


async def restored(desk: Desk) -> None:
    """The register was restored, and every rail with a provider was reconciled since."""
    now = datetime.now(UTC)
    async with desk.database.transaction() as connection:
        await halting.told(connection, now - timedelta(hours=1), now, by="ada")
        await connection.execute(text(_RECONCILED), {"id": UUID(int=5), "at": now})


async def shut(desk: Desk) -> None:
    """The provider rejected our credentials."""
    async with desk.database.transaction() as connection:
        await rail_halts.halt(connection, "tremendous", "it answered 401", datetime.now(UTC))


async def found(desk: Desk) -> None:
    """A rail shows a payment that the register lacks, of the payout `PAYOUT` under another id."""
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET rail = 'stripe_transfer' WHERE id = :id"), {"id": PAYOUT})
        await connection.execute(text(_FORGOTTEN), {"id": PAYMENT, "named": UUID(int=6), "at": datetime.now(UTC)})
        await queue.keep_forgotten(connection, [PAYMENT])


def _rail(name: str, bring: Callable[[Desk], Awaitable[None]]) -> Place:
    return Place(bring, f"/v1/rails/{name}", name, f"/rails/{rail_id(name)}")


_RAILS: Final[Mapping[Row, Place]] = {
    Row(RailState.HALTED, _W.RAIL_HALTED, (_A.REOPEN_RAIL,), sub="after a restore"): _rail("stripe_transfer", restored),
    Row(RailState.HALTED, _W.RAIL_HALTED, (_A.REOPEN_RAIL,), sub="after a restore, by hand"): _rail("manual", restored),
    Row(
        RailState.HALTED,
        _W.RAIL_SHUT,
        needs_nobody="it opens by itself once it lets us in; an administrator gives it credentials that work",
        sub="it does not let us in",
    ): _rail("tremendous", shut),
}
_PAYMENTS: Final[Mapping[Row, Place]] = {
    Row(_S.WAITING, _W.FORGOTTEN_PAYMENT, (_A.ASSIGN_PAYMENT, _A.DISOWN_PAYMENT)): Place(
        found, f"/v1/forgotten-payments/{PAYMENT}", str(PAYMENT), f"/forgotten/{PAYMENT}"
    )
}
STANDING: Final = {**_RAILS, **_PAYMENTS}
ROWS: Final = (
    Row(RailState.OPEN, needs_nobody="payouts are sent"),
    *_RAILS,
    *_PAYMENTS,
    Row(_S.ASSIGNED, needs_nobody="its payout adopts it"),
    Row(_S.ADOPTED, needs_nobody="it is over"),
    Row(_S.DISOWNED, needs_nobody="it is over"),
)

_RECONCILED: Final = """
INSERT INTO reconciliation (id, rail, since_at, until_at, asked_by, asked_at, state, ours, theirs,
                            differences, under_way)
VALUES (:id, 'stripe_transfer', CAST(:at AS timestamptz) - interval '2 days', :at, 'ada', :at, 'done', 0, 0, 0, 0)
"""
_FORGOTTEN: Final = """
INSERT INTO forgotten_payment
    (id, rail, reference, payout_id, payee, destination, amount_minor, currency, state, found_at)
VALUES (:id, 'stripe_transfer', 'tr_1', :named, 'dexter', 'acct_dexter', 2500, 'USD', 'paid', :at)
"""
