"""How PostgreSQL carries out what is asked of it: each statement explained just before it runs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import psycopg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from models import metadata

#: What does not grow with the referrals there have been: settings, people with an account, wake-ups on their way, and
#: cases of which each waits for a person; rails and their restores, programs, a cycle a month, and the reconciliations
#: that somebody asks for.
_SMALL: Final = frozenset(
    {
        *("app_user", "api_token", "program_version", "blocked_mark", "decision_head", "webhook_endpoint"),
        *(
            "ingest_batch",
            "outbox",
            "to_judge",
            "swept",
            "clawback_case",
            "rail_halt",
            "payout_cycle",
            "reconciliation",
        ),
        *("fact_teller", "set_aside", "program_life", "register_restore", "restored_rail", "forgotten_payment"),
    }
)
GROWING: Final = frozenset(metadata.tables) - _SMALL


class Plans:
    """Explains every statement of an engine, and keeps what is wrong with how it was carried out.

    Wrong is a scan of a growing table, and reading more than ``rows_max`` rows of one at one place of a plan, also
    where most of them are dropped again. ``planned_once`` looks at the plan for any values also where it looks dearer:
    connections that judge and pay keep to it.
    """

    def __init__(self, engine: AsyncEngine, rows_max: int, *, planned_once: bool = False) -> None:
        self._engine = engine.sync_engine
        self._planned_once = planned_once
        self._rows_max = rows_max
        self.statements: set[str] = set()
        self.problems: dict[str, list[str]] = {}

    @contextmanager
    def explained(self) -> Iterator["Plans"]:
        event.listen(self._engine, "before_cursor_execute", self._before)
        try:
            yield self
        finally:
            event.remove(self._engine, "before_cursor_execute", self._before)

    def _before(self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not _PLANNED.match(statement):
            return
        self.statements.add(statement)
        for plan in _plans(connection.connection, statement, parameters, planned_once=self._planned_once):
            if problems := list(_problems(plan, self._rows_max)):
                self.problems[" ".join(statement.split())] = problems


def _plans(connection: Any, statement: str, parameters: Any, *, planned_once: bool) -> Iterator[Any]:
    """How a statement goes with these values, by carrying it out and taking it back; and how it goes with any, if that
    looks cheaper: PostgreSQL then keeps to it for a statement that a connection has prepared."""
    cursor = connection.cursor()
    cursor.execute("SAVEPOINT explained")
    try:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF, FORMAT JSON) {statement}", parameters)
        custom = _plan(cursor.fetchone())
    except psycopg.errors.IntegrityError:
        return  # what is refused is looked at where it succeeds
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT explained")
        cursor.execute("RELEASE SAVEPOINT explained")
        cursor.close()
    yield custom
    generic = _plan(connection.run_async(partial(_explain_with_any, statement)))
    if planned_once or generic["Total Cost"] <= custom["Total Cost"] + _PLANNING_COST_MAX:
        yield generic


async def _explain_with_any(statement: str, driver: psycopg.AsyncConnection[Any]) -> Any:
    numbers = {name: f"${number}" for number, name in enumerate(dict.fromkeys(_PARAMETER.findall(statement)), 1)}
    with_any = _PARAMETER.sub(lambda found: numbers[found[1]], statement).replace("%%", "%")
    # Prepared itself, it would want the values that it is there to do without.
    cursor = await driver.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {with_any}".encode(), prepare=False)
    return await cursor.fetchone()


def _plan(row: Any) -> Any:
    return row[0][0]["Plan"]


def _problems(node: dict[str, Any], rows_max: int) -> Iterator[str]:
    table = node.get("Relation Name")
    if table in GROWING and node["Node Type"] == "Seq Scan":
        yield f"scans {table}"
    elif table in GROWING or "Index Name" in node:
        dropped = sum(node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck"))
        read = round((node.get("Actual Rows", 0) + dropped) * node.get("Actual Loops", 0))
        if read > rows_max:
            yield f"reads {read} rows of {table or node['Index Name']}"
    for child in node.get("Plans", ()):
        yield from _problems(child, rows_max)


#: More than PostgreSQL reckons for planning one of our statements anew each time.
_PLANNING_COST_MAX: Final = 50.0
_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
_PLANNED: Final = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
