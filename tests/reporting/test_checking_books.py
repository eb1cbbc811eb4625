"""Where the books and the register disagree, whoever brought that about, each disagreement is told."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ClawbackRow, LegRow, PayoutDeduction, PayoutLegRow, PayoutRow
from models.session import Database
from referral_rewards.domain.books import ledger
from referral_rewards.domain.books.ledger import Deduction, DeductionKind, Entry
from referral_rewards.register.books.ledger import post
from referral_rewards.reporting.books.checking import problems

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
LEG, PAYOUT, CLAWBACK = (uuid5(UUID(int=0), name) for name in ("leg", "payout", "clawback"))
#: A reward that was paid before, of which 5.00 was to be had back.
EARLIER_LEG, EARLIER_PAYOUT, OFFSET = (uuid5(UUID(int=1), name) for name in ("leg", "payout", "offset"))
KEPT = (Deduction(DeductionKind.OFFSET, str(OFFSET), 500), Deduction(DeductionKind.WITHHOLDING, "us", 300))


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[AsyncConnection]:
    """A leg of 25.00 that was paid less an offset and a tax, as the register and the books have it; gone afterwards."""
    database = Database.at(database_url)
    async with database.transaction() as connection:
        await _row(connection, LegRow, **LEG_ROW)
        await _row(connection, PayoutRow, **PAYOUT_ROW)
        await _row(connection, PayoutLegRow, payout_id=PAYOUT, leg_id=LEG)
        other = {"id": EARLIER_LEG, "order_key": "o0", "role": "referrer", "amount_minor": 500}
        await _row(connection, LegRow, **LEG_ROW | other)
        earlier = {"id": EARLIER_PAYOUT, "amount_minor": 500, "provider_key": f"{EARLIER_PAYOUT}-1"}
        await _row(connection, PayoutRow, **PAYOUT_ROW | earlier)
        await _row(connection, PayoutLegRow, payout_id=EARLIER_PAYOUT, leg_id=EARLIER_LEG)
        for each in KEPT:
            kept = {"kind": each.kind, "source": each.source, "amount_minor": each.amount_minor}
            await _row(connection, PayoutDeduction, payout_id=PAYOUT, **kept)
        await _row(connection, ClawbackRow, **CLAWBACK_ROW)
        await _post(connection, *ENTRIES)
        yield connection
        await connection.rollback()
    await database.close()


async def test_a_register_and_its_books_agree(books: AsyncConnection) -> None:
    assert await _found(books) == []


async def test_a_payout_that_came_back_and_was_paid_again_agrees(books: AsyncConnection) -> None:
    paid: dict[str, Any] = {"deductions": KEPT, "currency": "USD"}
    await _post(books, ledger.returned(str(PAYOUT), "tremendous", "c-brie", 1700, **paid))
    await books.execute(text(f"UPDATE payout SET state = 'returned' WHERE id = '{PAYOUT}'"))
    await books.execute(text(f"UPDATE leg SET state = 'reserved' WHERE id = '{LEG}'"))
    await books.execute(text("UPDATE clawback SET recovered_minor = 0, state = 'offsetting'"))
    assert await _found(books) == []
    await _post(books, ledger.settled(str(PAYOUT), "tremendous", "c-brie", 1700, generation=2, **paid))
    await books.execute(text(f"UPDATE payout SET state = 'settled', generation = 2 WHERE id = '{PAYOUT}'"))
    await books.execute(text("UPDATE clawback SET recovered_minor = 500, state = 'offset'"))
    assert await _found(books) == []


DISAGREEMENTS: dict[str, tuple[Sequence[str], Sequence[Entry], Sequence[str]]] = {
    "a settled payout whose row was changed": (
        [f"UPDATE payout SET state = 'manual_review' WHERE id = '{PAYOUT}'"],
        [],
        [
            f"payout {PAYOUT} is manual_review: clearing:tremendous has -17.00 USD of it, not 0.00 USD",
            f"payout {PAYOUT} is manual_review: payable:c-brie has 25.00 USD of it, not 0.00 USD",
            f"payout {PAYOUT} is manual_review: recoverable:c-brie has -5.00 USD of it, not 0.00 USD",
            f"payout {PAYOUT} is manual_review: withholding:us has -3.00 USD of it, not 0.00 USD",
        ],
    ),
    "another amount in a payout's row": (
        [f"UPDATE payout SET amount_minor = 1701 WHERE id = '{PAYOUT}'"],
        [],
        [
            f"payout {PAYOUT} is settled: clearing:tremendous has -17.00 USD of it, not -17.01 USD",
            f"payout {PAYOUT} is settled: payable:c-brie has 25.00 USD of it, not 25.01 USD",
            f"payout {PAYOUT} sends 17.01 USD, while its legs come to 25.00 USD less 8.00 USD",
        ],
    ),
    "another rail": (
        [f"UPDATE payout SET rail = 'manual' WHERE id = '{PAYOUT}'"],
        [],
        [
            f"payout {PAYOUT} is settled: clearing:manual has 0.00 USD of it, not -17.00 USD",
            f"payout {PAYOUT} is settled: clearing:tremendous has -17.00 USD of it, not 0.00 USD",
        ],
    ),
    "a leg that was cancelled in its row alone": (
        [f"UPDATE leg SET state = 'cancelled' WHERE id = '{LEG}'"],
        [],
        [
            f"leg {LEG} is cancelled: expense:acme-friends has 25.00 USD of it, not 0.00 USD",
            f"leg {LEG} is cancelled: payable:c-brie has -25.00 USD of it, not 0.00 USD",
        ],
    ),
    "an entry for a leg that is none": (
        [],
        [ledger.accrued(str(PAYOUT), "acme-friends", "mallory", 1, "USD")],
        [
            f"leg {PAYOUT} is not in the register: expense:acme-friends has 0.01 USD of it, not 0.00 USD",
            f"leg {PAYOUT} is not in the register: payable:mallory has -0.01 USD of it, not 0.00 USD",
        ],
    ),
    "a settlement under the key of another generation": (
        [],
        [ledger.settled(str(PAYOUT), "tremendous", "c-brie", 100, "USD", generation=2)],
        [
            f"payout {PAYOUT} is settled: clearing:tremendous has -18.00 USD of it, not -17.00 USD",
            f"payout {PAYOUT} is settled: payable:c-brie has 26.00 USD of it, not 25.00 USD",
        ],
    ),
    "a deduction that was freed in its row alone": (
        ["UPDATE payout_deduction SET live = false WHERE kind = 'withholding'"],
        [],
        [
            f"payout {PAYOUT} is settled: payable:c-brie has 25.00 USD of it, not 22.00 USD",
            f"payout {PAYOUT} is settled: withholding:us has -3.00 USD of it, not 0.00 USD",
            f"payout {PAYOUT} sends 17.00 USD, while its legs come to 25.00 USD less 5.00 USD",
        ],
    ),
    "a claim on a reward that nobody decided": (
        [],
        [ledger.claimed_back(str(CLAWBACK), "acme-friends", "c-brie", 700, "USD")],
        [
            "what c-brie owes by the clawbacks: recoverable:c-brie has 7.00 USD of it, not 0.00 USD",
        ],
    ),
    "a clawback whose row alone says that nothing came": (
        ["UPDATE clawback SET recovered_minor = 0, state = 'offsetting'"],
        [],
        [
            "what c-brie owes by the clawbacks: recoverable:c-brie has 0.00 USD of it, not 5.00 USD",
        ],
    ),
}


@pytest.mark.parametrize(("statements", "entries", "told"), DISAGREEMENTS.values(), ids=DISAGREEMENTS)
async def test_a_disagreement_is_told_by_account(
    books: AsyncConnection, statements: Sequence[str], entries: Sequence[Entry], told: Sequence[str]
) -> None:
    for statement in statements:
        await books.execute(text(statement))
    await _post(books, *entries)
    assert await _found(books) == list(told)


LEG_ROW: dict[str, Any] = {
    "id": LEG,
    "referral_id": "r1",
    "claim_id": LEG,
    "digest": "d",
    "program": "acme-friends",
    "referrer": "dexter",
    "order_key": "o1",
    "role": "referee",
    "beneficiary": "c-brie",
    "kind": "gift_card",
    "amount_minor": 2500,
    "currency": "USD",
    "rail": "tremendous",
    "state": "paid",
    "approved_at": AT,
}
PAYOUT_ROW: dict[str, Any] = {
    "id": PAYOUT,
    "referral_id": "r1",
    "payee": "c-brie",
    "rail": "tremendous",
    "amount_minor": 1700,
    "currency": "USD",
    "body": {},
    "body_hash": "h",
    "generation": 1,
    "provider_key": f"{PAYOUT}-1",
    "state": "settled",
    "updated_at": AT,
}
CLAWBACK_ROW: dict[str, Any] = {
    "id": OFFSET,
    "case_id": OFFSET,
    "leg_id": EARLIER_LEG,
    "payout_id": EARLIER_PAYOUT,
    "referral_id": "r0",
    "payee": "c-brie",
    "kind": "offset",
    "amount_minor": 500,
    "currency": "USD",
    "recovered_minor": 500,
    "body": {},
    "body_hash": "h",
    "generation": 1,
    "provider_key": f"{OFFSET}-1",
    "state": "offset",
    "decision_id": OFFSET,
    "created_at": AT,
    "updated_at": AT,
}
ENTRIES = (
    ledger.accrued(str(LEG), "acme-friends", "c-brie", 2500, "USD"),
    ledger.accrued(str(EARLIER_LEG), "acme-friends", "c-brie", 500, "USD"),
    ledger.settled(str(EARLIER_PAYOUT), "tremendous", "c-brie", 500, "USD"),
    ledger.claimed_back(str(OFFSET), "acme-friends", "c-brie", 500, "USD"),
    ledger.settled(str(PAYOUT), "tremendous", "c-brie", 1700, "USD", deductions=KEPT),
)


async def _row(connection: AsyncConnection, table: Any, **values: Any) -> None:
    await connection.execute(insert(table).values(**values))


async def _post(connection: AsyncConnection, *entries: Entry) -> None:
    for entry in entries:
        assert await post(connection, entry, program="acme-friends", referral="r1", at=AT)


async def _found(connection: AsyncConnection) -> list[str]:
    return [each async for each in problems(connection)]
