"""What a statement needs to be allowed, as PostgreSQL itself says: which privilege on which columns of which table.

PostgreSQL keeps it in the query tree, from which it checks the privileges when the statement is run. It prints the tree
if it is asked to.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from psycopg import Connection

#: Bits of AclMode in PostgreSQL's parsenodes.h.
_BITS: Final = {1: "INSERT", 2: "SELECT", 4: "UPDATE", 8: "DELETE"}
#: A column's number in these sets is this much higher than its attnum (FirstLowInvalidHeapAttributeNumber).
_OFFSET: Final = 7
_PERMISSIONS: Final = re.compile(
    r"\{RTEPERMISSIONINFO :relid (\d+) :inh \w+ :requiredPerms (\d+) :checkAsUser \d+"
    r" :selectedCols \(b([ \d]*)\) :insertedCols \(b([ \d]*)\) :updatedCols \(b([ \d]*)\)"
)


class Need(NamedTuple):
    """A privilege on a table; ``column`` is empty where it is for the whole table."""

    table: str
    privilege: str
    column: str = ""


class Asking:
    """Asks PostgreSQL what statements need. It reads them, and runs none."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._told: list[str] = []
        connection.add_notice_handler(lambda notice: self._told.append(notice.message_detail or ""))
        connection.execute(
            "SET debug_print_rewritten = on; SET debug_pretty_print = off; SET client_min_messages = log"
        )
        rows = connection.execute(
            "SELECT CAST(a.attrelid AS bigint), c.relname, a.attnum, a.attname FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = CAST('public' AS regnamespace) AND c.relkind = 'r'"
        ).fetchall()
        self._tables = {relation: name for relation, name, _, _ in rows}
        self._columns = {(relation, number): column for relation, _, number, column in rows}
        self._told.clear()

    def needs(self, sql: str) -> set[Need]:
        """Return what a statement needs on the tables of the schema.

        Raises:
            psycopg.Error: if PostgreSQL can't read it without values.
        """
        self._told.clear()
        with self._connection.transaction(force_rollback=True):
            self._connection.execute(b"PREPARE asked AS " + sql.encode())
            tree = " ".join(" ".join(self._told).split())
            self._connection.execute("DEALLOCATE asked")
        return set(self._found(tree))

    def _found(self, tree: str) -> Iterator[Need]:
        for relation, required, selected, inserted, updated in _PERMISSIONS.findall(tree):
            relid, bits = int(relation), int(required)
            table = self._tables.get(relid)
            if table is None:
                continue
            columns = {"SELECT": selected, "INSERT": inserted, "UPDATE": updated}
            for bit, privilege in _BITS.items():
                if bits & bit:
                    named = list(self._named(relid, columns.get(privilege, "")))
                    yield from (Need(table, privilege, column) for column in named or [""])

    def _named(self, relid: int, numbers: str) -> Iterable[str]:
        for number in numbers.split():
            at = int(number) - _OFFSET
            yield self._columns[relid, at] if at else "*"
