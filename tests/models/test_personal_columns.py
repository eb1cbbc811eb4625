"""Every column that may hold personal data is listed, with what keeps it from being read."""

from sqlalchemy import ARRAY, LargeBinary, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

import models
from models.personal_columns import COLUMNS, Protection

assert models  # every table is known


def test_each_column_that_may_hold_personal_data_is_listed_once() -> None:
    listed = [(table, column) for tables in COLUMNS.values() for table, its in tables.items() for column in sorted(its)]
    there = [
        (table.name, column.name)
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(getattr(column.type, "impl", column.type), String | JSONB | LargeBinary | ARRAY)
    ]
    assert sorted(listed) == sorted(there)


def test_what_is_bytes_is_sealed_and_nothing_else_is() -> None:
    """Text and documents can be read by whoever reads the database; so personal data never stands in one."""
    of_bytes = {
        (table.name, column.name)
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    sealed = {(table, column) for table, its in COLUMNS[Protection.SEALED].items() for column in its}
    assert sealed - of_bytes == {("second_factor", "secret"), ("second_factor", "offered")}
    assert of_bytes <= sealed
