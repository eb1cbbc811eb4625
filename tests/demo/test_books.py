"""The demo looks into the books themselves: an account of its own that nobody paid for does not pass."""

from datetime import UTC, datetime

from models.session import Database
from referral_rewards.domain.books.ledger import credited
from referral_rewards.local.demo import books
from referral_rewards.register.books import ledger
from referral_rewards.register.decisions.signing import KeyRing, Signer


async def test_a_credit_without_a_paid_leg_is_found(database_url: str) -> None:
    database, keys = Database.at(database_url), KeyRing.of([Signer.generate().public_entry()])
    try:
        async with database.transaction() as connection:
            assert await books.problems(connection, keys) == []
            entry = credited("forged", "mallory", 2500, "USD")
            await ledger.post(connection, entry, program="acme-friends", referral="r1", at=datetime.now(UTC))
            assert await books.problems(connection, keys) == [
                "mallory has 1 credits of 2500 in all under referral r1, and 0 paid legs of 0",
            ]
    finally:
        await database.close()
