"""Every transaction is opened by `Database.reading` or by `Database.write`: whoever writes can't forget to repeat."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.said_once import modules

DOORS = "models/session.py"
#: A connection that a door opened: it hands statements to the driver.
BEHIND_THEM = "models/connection.py"
#: What else opens, or ends, a transaction by hand. A savepoint (`begin_nested`) is a part of one.
_BY_HAND = frozenset({"transaction", "commit", "rollback", "autocommit"})
_MAKES_AN_ENGINE = frozenset({"AsyncEngine", "Engine", "create_engine", "create_async_engine", "Session"})
#: It makes the database itself, before there is anything to be kept in it.
_BEFORE_ALL = frozenset({"referral_rewards/local/embedded.py"})


def test_no_transaction_is_opened_elsewhere() -> None:
    assert {path for path, tree in modules() if set(_by_hand(tree))} == {DOORS}


def test_no_engine_or_connection_is_made_elsewhere() -> None:
    assert {path for path, tree in modules() if set(_ways_around(tree))} == {DOORS, BEHIND_THEM, *_BEFORE_ALL}


@pytest.mark.parametrize(
    "source", ["async with parts.database.transaction() as connection: ...", "await connection.commit()"]
)
def test_this_check_finds_what_is_opened_or_ended_by_hand(source: str) -> None:
    assert list(_by_hand(ast.parse(f"async def f():\n    {source}")))


@pytest.mark.parametrize(
    "source",
    [
        "import psycopg",
        "from psycopg import AsyncConnection",
        "from sqlalchemy.ext.asyncio import create_async_engine",
        "from sqlalchemy import create_engine as made",
    ],
)
def test_this_check_finds_a_way_around(source: str) -> None:
    assert list(_ways_around(ast.parse(source)))


def _by_hand(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _BY_HAND:
            yield node.func.attr


def _ways_around(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "psycopg")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "psycopg":
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name in _MAKES_AN_ENGINE)
