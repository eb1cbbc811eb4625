"""The roles of the API and of workers may do what their code does, and nothing else; what only grows they can't change.

What the code does is read from its statements, by PostgreSQL itself, and from which of them each process reaches. The
rest of the suite is run under these roles: see tests/roles.py.
"""

import ast
import asyncio
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg import Connection
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from models.grants import Roles, statements
from models.migrate import upgrade
from referral_rewards.domain.errors import BadInput
from tests.models.allowed import BUILT, PROCESSES, read, written
from tests.needed import Need
from tests.reached import definitions
from tests.roles import API, MIGRATIONS, ROLES, WORKER, as_role
from tests.snapshots import administer

_ROLE_OF: Final = {"api": API, "worker": WORKER}
#: Rights on the whole table, which a right on some columns stands for where a row is only locked.
_LOCKED: Final = {Need("payout_cycle", "UPDATE", "updated_at"), Need("to_examine", "UPDATE", "id")}


def _plain(database_url: str) -> str:
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(_plain(database_url), autocommit=True) as connection:
        yield connection


def _granted(connection: Connection[Any], role: str) -> set[Need]:
    """What a role may do to whole tables, and to columns of others."""
    tables = {
        Need(*row)
        for row in connection.execute(
            "SELECT table_name, privilege_type FROM information_schema.table_privileges"
            " WHERE grantee = %s AND table_schema = 'public'",
            [role],
        )
    }
    columns = {
        Need(*row)
        for row in connection.execute(
            "SELECT table_name, privilege_type, column_name FROM information_schema.column_privileges"
            " WHERE grantee = %s AND table_schema = 'public'",
            [role],
        )
    }
    return tables | {each for each in columns if Need(each.table, each.privilege) not in tables}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_may_write_what_its_code_writes_and_nothing_else(connection: Connection[Any], process: str) -> None:
    granted = {each for each in _granted(connection, _ROLE_OF[process]) if each.privilege != "SELECT"}
    needs = written(connection, process)
    locks = {each.table for each in needs if each.privilege == "UPDATE" and not each.column}
    needed = {each for each in needs if each.privilege != "UPDATE" or each.column}
    changeable = {each.table for each in granted if each.privilege == "UPDATE"}
    assert sorted(needed - granted) == [], "a grant lacks in models/grants.sql"
    assert sorted(granted - needed - _LOCKED) == [], "models/grants.sql grants what nothing needs"
    assert sorted(locks - changeable) == [], "a row is locked, and no column may be changed"


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_may_read_what_its_code_reads(connection: Connection[Any], process: str) -> None:
    granted = _granted(connection, _ROLE_OF[process])
    whole = {each.table for each in granted if each.privilege == "SELECT" and not each.column}
    lacking = {each for each in read(connection, process) if each.table not in whole and each not in granted}
    assert sorted(each for each in lacking if each.column) == []


@pytest.mark.parametrize("table", ["api_token", "session", "oidc_identity", "oidc_flow", "sign_in_failure"])
def test_a_worker_reads_no_credential(connection: Connection[Any], table: str) -> None:
    reads = {each for each in _granted(connection, WORKER) if each.privilege == "SELECT"}
    assert table not in {each.table for each in reads}
    assert Need("app_user", "SELECT", "password_hash") not in reads


def test_only_the_api_adds_decisions_people_and_terms(connection: Connection[Any]) -> None:
    adds = {each.table for each in _granted(connection, WORKER) if each.privilege == "INSERT"}
    assert not adds & {"decision", "decision_head", "app_user", "api_token", "session", "program_version", "set_aside"}


def _only_added_to(connection: Connection[Any]) -> set[str]:
    """The tables of which no process changes or deletes a row, by the code."""
    tables = {row[0] for row in connection.execute(_TABLES)}
    needs = {need for process in PROCESSES for need in written(connection, process)}
    return tables - {need.table for need in needs if need.privilege in ("UPDATE", "DELETE")}


def test_what_only_grows_can_be_changed_by_neither_role(connection: Connection[Any], database_url: str) -> None:
    grows = sorted(_only_added_to(connection) - _NOT_OURS)
    # Those that a trigger keeps from everybody, and what else the code only adds to. Of a fact its marks go once its
    # person is erased (tests/persons).
    assert {row[0] for row in connection.execute(_GUARDED)} <= set(grows)
    assert {
        "decision",
        "fact_teller",
        "posting",
        "ledger_transaction",
        "audit_event",
        "payout_step",
        "reward_claim",
    } <= set(grows)
    for role in (API, WORKER):
        with psycopg.connect(_plain(as_role(database_url, role)), autocommit=True) as process:
            for table in grows:
                column = connection.execute(_FIRST_COLUMN, [table]).fetchone()
                assert column is not None
                name, its = Identifier(table), Identifier(column[0])
                for statement in (
                    SQL("UPDATE {} SET {} = {}").format(name, its, its),
                    SQL("DELETE FROM {}").format(name),
                    SQL("TRUNCATE {}").format(name),
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        process.execute(statement)


@pytest.mark.parametrize("role", [API, WORKER])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE another (id int)",
        "CREATE TABLE pg_temp.leg (id int)",
        "DROP TABLE fact",
        "ALTER TABLE decision DISABLE TRIGGER decision_append_only",
        "DROP TRIGGER decision_append_only ON decision",
        "CREATE OR REPLACE FUNCTION register_position() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        "SET session_replication_role = replica",
        "UPDATE held_total SET amount_minor = 0",
        "SELECT setval('posting_id_seq', 1)",
        "SET ROLE the_migrations",
        "CREATE ROLE another",
    ],
)
def test_no_process_changes_the_schema_or_its_own_rights(database_url: str, role: str, statement: str) -> None:
    with psycopg.connect(_plain(as_role(database_url, role)), autocommit=True) as process:
        # A database that was copied for a test has lost this right of its own.
        with psycopg.connect(_plain(database_url), autocommit=True) as owner:
            owner.execute(SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(Identifier(owner.info.dbname)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            process.execute(statement.encode())


def test_the_right_to_hold_totals_is_the_triggers_alone(connection: Connection[Any]) -> None:
    held = {each for role in (API, WORKER) for each in _granted(connection, role) if each.table == "held_total"}
    assert {each.privilege for each in held} == {"SELECT"}


def test_grants_are_the_same_when_they_are_applied_again(connection: Connection[Any], database_url: str) -> None:
    before = {role: _granted(connection, role) for role in (API, WORKER)}
    connection.execute(SQL("GRANT UPDATE, DELETE ON decision TO {}").format(Identifier(WORKER)))
    connection.execute(SQL("REVOKE INSERT ON fact FROM {}").format(Identifier(API)))
    upgrade(database_url, ROLES)
    assert {role: _granted(connection, role) for role in (API, WORKER)} == before


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (Roles("nobody", WORKER), r"REFERRALS_DATABASE_API_ROLE: the database has no role nobody"),
        (Roles(API, MIGRATIONS), r"REFERRALS_DATABASE_WORKER_ROLE: the_migrations owns the tables"),
    ],
)
def test_a_role_that_can_not_be_granted_is_named_and_nothing_is_changed(
    connection: Connection[Any], database_url: str, roles: Roles, told: str
) -> None:
    before = _granted(connection, API)
    with pytest.raises(BadInput, match=told):
        upgrade(as_role(database_url, MIGRATIONS), roles)
    assert _granted(connection, API) == before


def test_the_names_of_roles_are_quoted() -> None:
    assert 'TO "rewards-api", "the ""worker"""' in statements(Roles("rewards-api", 'the "worker"'))


async def test_a_password_is_changed_by_a_second_login_while_the_first_goes_on(
    postgres_url: str, database_url: str
) -> None:
    """Two logins take turns: both are members of the role that has the grants."""
    await administer(postgres_url, f"CREATE ROLE another_login LOGIN PASSWORD 'of-a-test' IN ROLE {WORKER}")
    try:
        with psycopg.connect(_plain(as_role(database_url, WORKER)), autocommit=True) as old:
            with psycopg.connect(_plain(as_role(database_url, "another_login")), autocommit=True) as new:
                new.execute("INSERT INTO to_judge (referral_id) VALUES ('r1')")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    new.execute("DELETE FROM decision")
            await administer(postgres_url, f"ALTER ROLE {WORKER} NOLOGIN")
            old.execute("INSERT INTO to_judge (referral_id) VALUES ('r2')")
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            await asyncio.to_thread(psycopg.connect, _plain(as_role(database_url, WORKER)))
    finally:
        await administer(postgres_url, f"ALTER ROLE {WORKER} LOGIN")
        await administer(postgres_url, "DROP ROLE another_login")


def test_every_statement_that_is_built_as_it_runs_is_described() -> None:
    """Whoever builds one says in tests/models/allowed.py what it needs."""
    builds = {
        name
        for name, trees in definitions("referral_rewards", "worker", "activities")
        if not name.startswith("referral_rewards.reporting.") and any(map(_builds, trees))
    }
    assert builds == set(BUILT)


def _builds(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and (node.func.id in _WRITING or (node.func.id == "text" and isinstance(node.args[0], ast.Name)))
        for node in ast.walk(tree)
        if not isinstance(tree, ast.Assign | ast.AnnAssign)
    )


_WRITING: Final = ("insert", "update", "delete", "upsert")
_NOT_OURS: Final = {"alembic_version"}
_TABLES: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = CAST('public' AS regnamespace)"
_GUARDED: Final = """
    SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgname LIKE '%\\_append\\_only'
"""
_FIRST_COLUMN: Final = """
    SELECT attname FROM pg_attribute WHERE attrelid = CAST(%s AS regclass) AND attnum > 0 ORDER BY attnum LIMIT 1
"""
