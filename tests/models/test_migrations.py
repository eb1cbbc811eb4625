"""The migrations come to the tables that the models say."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

import models
from models.migrate import upgrade
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.errors import SchemaUnknown


def test_the_migrations_and_the_models_say_the_same(database_url: str) -> None:
    engine = create_engine(with_driver(database_url))
    try:
        with engine.connect() as connection:
            assert _differences(connection) == []
    finally:
        engine.dispose()


def test_a_schema_of_another_version_is_refused_in_one_line(database_url: str) -> None:
    engine = create_engine(with_driver(database_url))
    try:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0015'"))
        with pytest.raises(SchemaUnknown, match="the database has the schema 0015, which this version does not know"):
            upgrade(with_driver(database_url))
    finally:
        engine.dispose()


def test_what_is_up_to_date_stays_as_it_is(database_url: str) -> None:
    upgrade(with_driver(database_url))


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, models.metadata))
