"""The migrations come to the tables that the models say."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

import models
from referral_rewards.config.stack import with_driver


def test_the_migrations_and_the_models_say_the_same(database_url: str) -> None:
    engine = create_engine(with_driver(database_url))
    try:
        with engine.connect() as connection:
            assert _differences(connection) == []
    finally:
        engine.dispose()


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, models.metadata))
