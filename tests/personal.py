"""The keys of personal data in tests, and what is kept under them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from bench.personal import KEY, KEYS
from models.session import Database
from referral_rewards import personal

__all__ = ["KEY", "KEYS", "bodies"]


async def bodies(database: Database, of: str = "true", **given: object) -> Sequence[dict[str, Any]]:
    """The texts that are kept and not erased, in the order of their ids; ``of`` is a condition in SQL on the row p."""
    statement = text(f"SELECT subject_id, sealed FROM personal_data p WHERE {of} ORDER BY subject_id")
    async with database.reading() as connection:
        rows = (await connection.execute(statement, given)).all()
        found = [personal.body_of(connection, row.subject_id, row.sealed) for row in rows]
        return [each for each in found if each is not None]
