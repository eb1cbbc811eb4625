"""Each column of each row that a paid reward was derived from, changed by hand: the list is made from the schema."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Date, DateTime, Integer, LargeBinary, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from models import metadata
from models.session import Database


@dataclass(frozen=True)
class Flip:
    """A change of one column of one row, or of one part of a document in it."""

    table: str
    column: str
    part: str | None
    value: str  # SQL
    otherwise: str | None = None  # another value, of a number that may change nothing at one end of the order

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}" + (f".{self.part}" if self.part else "")


class _Undone(Exception):
    """Rolls a transaction back."""


@asynccontextmanager
async def flipped(database: Database, flip: Flip, row: str) -> AsyncIterator[AsyncConnection]:
    """A connection that sees the change, made past every guard; it is undone at the end of the block."""
    with suppress(_Undone):
        async with database.transaction() as connection:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            change = f"UPDATE {flip.table} SET {_quoted(flip.column)} = {flip.value} WHERE ctid = CAST(:row AS tid)"
            done = await connection.execute(text(change.replace(":{", "\\:{")), {"row": row})
            assert done.rowcount == 1, flip
            yield connection
            raise _Undone


async def flips_of(database: Database, table: str, row: str) -> list[Flip]:
    """Every flip of a row: one for each column, and for a document one for each of its parts."""
    async with database.reading() as connection:
        statement = text(f"SELECT * FROM {table} WHERE ctid = CAST(:row AS tid)")
        found = (await connection.execute(statement, {"row": row})).one()._mapping
    return [flip for column in metadata.tables[table].columns for flip in _flips(table, column, found[column.name])]


async def rows_of(database: Database, table: str, where: str) -> list[str]:
    """The places of the rows of a table that meet a condition, in order of their keys."""
    order = ", ".join(_quoted(each.name) for each in metadata.tables[table].primary_key.columns)
    async with database.reading() as connection:
        statement = text(f"SELECT CAST(ctid AS text) FROM {table} WHERE {where} ORDER BY {order}")
        return list((await connection.execute(statement)).scalars())


def _flips(table: str, column: Column[Any], value: Any) -> Iterator[Flip]:
    if isinstance(column.type, JSONB):
        yield from _flips_of_document(table, column, value)
    else:
        yield Flip(table, column.name, None, _other(column, value), _at_the_end(column))


def _flips_of_document(table: str, column: Column[Any], value: Any) -> Iterator[Flip]:
    if not isinstance(value, Mapping):
        yield Flip(table, column.name, None, _json({"flipped": True}))
        return
    yield Flip(table, column.name, None, _json({**value, "flipped": True}))
    for part in sorted(value):
        yield Flip(table, column.name, part, _json({**value, part: _another(value[part])}))


def _another(value: Any) -> Any:
    """Another value of the same kind: of a list its first part is changed, of an object its first field."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return "flipped"
        case str():
            return f"{value}x"
        case [first, *rest]:
            return [_another(first), *rest]
        case {**fields} if fields:
            name = min(fields)
            return {**fields, name: _another(fields[name])}
    return ["flipped"] if isinstance(value, list) else {"flipped": True}


def _other(column: Column[Any], value: Any) -> str:
    name = _quoted(column.name)
    if value is None:
        return _something(column)
    match column.type:
        case DateTime():
            return f"{name} + interval '1 day'"
        case Integer() | BigInteger() if column.primary_key:
            return f"(SELECT min({name}) FROM {column.table.name}) - 1"
        case Date() | Integer() | BigInteger():
            return f"{name} + 1"
        case Boolean():
            return f"NOT {name}"
        case Uuid():
            return f"CAST(md5(CAST({name} AS text)) AS uuid)"
        case ARRAY():
            return f"{name} || CAST('{{flipped}}' AS text[])"
        case LargeBinary():
            return f"{name} || '\\x00'"
    return "'EUR'" if column.name == "currency" else f"{name} || 'x'"


def _at_the_end(column: Column[Any]) -> str | None:
    """The number after the last, for a number that orders rows."""
    is_number = isinstance(column.type, Integer | BigInteger) and column.primary_key
    return f"(SELECT max({_quoted(column.name)}) FROM {column.table.name}) + 1" if is_number else None


def _something(column: Column[Any]) -> str:
    match column.type:
        case DateTime():
            return "now()"
        case Date():
            return "current_date"
        case Integer() | BigInteger():
            return "1"
        case Boolean():
            return "true"
        case Uuid():
            return "gen_random_uuid()"
        case ARRAY():
            return "CAST('{flipped}' AS text[])"
        case LargeBinary():
            return "'\\x00'"
    return "'flipped'"


def _json(value: Any) -> str:
    written = json.dumps(value).replace("'", "''").replace(":", "\\:")
    return f"CAST('{written}' AS jsonb)"


def _quoted(name: str) -> str:
    return f'"{name}"'


TABLES: Final = tuple(sorted(metadata.tables))
