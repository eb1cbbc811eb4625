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


#: A row of each table that has a place, at another server's place.
_NEWEST = {
    "fact": "INSERT INTO fact (id, source, event_id, type, occurred_at, received_at, data, digest, content_mac,"
    " position) VALUES (gen_random_uuid(), 's', 'e', 't', now(), now(), '{}', '', '', 1000000000)",
    "inquiry": "INSERT INTO inquiry (id, referral_id, moment, source, subject, asked_at, answer, sentence, position)"
    " VALUES (gen_random_uuid(), 'r', 'm', 's', 's', now(), 'a', '', 1000000000)",
    "payout_step": "INSERT INTO payout_step (payout_id, generation, at, act, state, position)"
    " VALUES (gen_random_uuid(), 1, now(), 'sent', 'sending', 1000000000)",
    "app_user": "INSERT INTO app_user (name, created_at, barred_at, barred_position)"
    " VALUES ('u', now(), now(), 1000000000)",
}


@pytest.mark.parametrize("newest", _NEWEST)
def test_places_go_on_after_the_newest_row_of_a_dump(database_url: str, newest: str) -> None:
    """Transactions of another server have lower numbers."""
    engine = create_engine(with_driver(database_url))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(_NEWEST[newest])
        upgrade(with_driver(database_url))
        with engine.connect() as connection:
            place, sight = connection.execute(text("SELECT register_position(), register_sight()")).one()
    finally:
        engine.dispose()
    assert place > 1_000_000_000
    assert sight[0] > 1_000_000_000


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, models.metadata))
