"""Every statement of the code names tables, columns and functions that the schema has, with fitting types.

PostgreSQL itself reads each of them, as far as it does so without running it. So a renamed column is found by
`make check`, whatever mypy can see.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from sqlalchemy import Executable, make_url, text
from sqlalchemy.dialects.postgresql.base import PGDialect

PACKAGES = (
    *("models", "referral_rewards.audit", "referral_rewards.register", "referral_rewards.reporting"),
    *("activities", "worker"),
)
#: Only the values that it is run with tell the type of a parameter.
_UNTYPED = (psycopg.errors.IndeterminateDatatype, psycopg.errors.AmbiguousParameter)


def _statements() -> Iterator[tuple[str, Executable]]:
    """Every statement that a module keeps, by its place."""
    for package in map(import_module, PACKAGES):
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in each.name and not each.name.endswith("__main__"):
                module = import_module(each.name)
                yield from _kept(each.name, {name: value for name, value in vars(module).items() if name[0] != "__"})


def _kept(where: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, Executable]]:
    for name, value in values.items():
        if isinstance(value, Executable):
            yield f"{where}.{name}", value
        elif isinstance(value, Mapping) and not str(name).startswith("__"):
            yield from _kept(f"{where}.{name}", value)


STATEMENTS = dict(_statements())


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection[Any]]:
    url = make_url(database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


def _flaw(connection: Connection[Any], statement: Executable) -> str | None:
    """What PostgreSQL finds wrong with a statement; None: nothing."""
    sql = str(statement.compile(dialect=PGDialect(paramstyle="numeric_dollar")))
    if sql.startswith("SET "):
        return None  # it names nothing of ours, and can't be prepared
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(b"PREPARE checked AS " + sql.encode())
            connection.execute("DEALLOCATE checked")
    except _UNTYPED:
        return None
    except psycopg.Error as error:
        return str(error).splitlines()[0]
    return None


def test_the_schema_has_what_every_statement_names(connection: Connection[Any]) -> None:
    flaws = {name: _flaw(connection, each) for name, each in STATEMENTS.items()}
    assert {name: flaw for name, flaw in flaws.items() if flaw is not None} == {}
    assert len(STATEMENTS) > 300


@pytest.mark.parametrize(
    ("sql", "flaw"),
    [
        ("SELECT payee_name FROM payout", 'column "payee_name" does not exist'),
        ("UPDATE payout SET stat = :state WHERE id = :id", 'column "stat" of relation "payout" does not exist'),
        ("SELECT 1 FROM payouts", 'relation "payouts" does not exist'),
        ("SELECT sum(state) FROM payout", "function sum(character varying) does not exist"),
        ("SELECT state FROM payout WHERE id = CAST(:id AS uuid)", None),
    ],
)
def test_this_check_finds_a_name_that_the_schema_lacks(connection: Connection[Any], sql: str, flaw: str | None) -> None:
    assert _flaw(connection, text(sql)) == flaw
