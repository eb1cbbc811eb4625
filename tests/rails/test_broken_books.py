"""Books that refuse an entry are no rail that is silent: the one is a mistake of ours, the other is asked again."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.session import Database
from tests.rails.cases import in_our_books, key


async def _refuses(database_url: str, table: str) -> None:
    database = Database.at(database_url)
    async with database.transaction() as connection:
        await connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT ck_for_test CHECK (false)"))
    await database.close()


async def test_a_credit_that_the_books_refuse_is_a_bug(database_url: str) -> None:
    await _refuses(database_url, "ledger_transaction")
    async with in_our_books(database_url) as case:
        with pytest.raises(IntegrityError, match="ck_for_test"):
            await case.rail.pay(case.request(1), key(case.request(1)))
