"""Whatever is changed by hand of what a paid reward was derived from, the audit finds it."""

from contextlib import aclosing
from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy.exc import IntegrityError

from models import metadata
from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from tests.audit.derived import NOT_DERIVED_FROM, ROWS, TABLES_NOT_DERIVED_FROM
from tests.audit.flipping import Flip, flipped, flips_of, rows_of
from tests.audit.paid import ACME, lived
from tests.desk import Desk, desk_after
from tests.seeds import partly
from tests.snapshots import Snapshots


def test_each_column_of_the_schema_is_flipped_or_named_with_a_reason() -> None:
    tables = set(metadata.tables)
    assert set(ROWS) | set(TABLES_NOT_DERIVED_FROM) == tables
    assert set(ROWS) & set(TABLES_NOT_DERIVED_FROM) == set()
    columns = {f"{table}.{column.name}" for table in ROWS for column in metadata.tables[table].columns}
    assert set(NOT_DERIVED_FROM) <= columns


#: The suite flips these; `make chaos` flips all.
_IN_THE_SUITE: Final = frozenset({"decision", "leg", "payout", "payout_leg"})


@pytest.mark.parametrize("table", partly(sorted(ROWS), suite=_IN_THE_SUITE))
@pytest.mark.suite_has(2)
async def test_each_flipped_column_is_found(table: str, snapshots: Snapshots) -> None:
    async with desk_after(snapshots, lived) as desk:
        rows = await rows_of(desk.database, table, ROWS[table])
        assert rows
        flips = [(row, flip) for row in rows for flip in await flips_of(desk.database, table, row)]
        missed = [
            flip.name
            for row, flip in flips
            if is_derived_from(flip) and not await is_found(desk, flip, row) and not await is_otherwise(desk, flip, row)
        ]
    assert missed == []


def is_derived_from(flip: Flip) -> bool:
    return f"{flip.table}.{flip.column}" not in NOT_DERIVED_FROM


async def is_otherwise(desk: Desk, flip: Flip, row: str) -> bool:
    return flip.otherwise is not None and await is_found(desk, replace(flip, value=flip.otherwise), row)


async def is_found(desk: Desk, flip: Flip, row: str) -> bool:
    """Whether the audit finds the change, or the database refuses it even with its guards off."""
    try:
        async with (
            flipped(desk.database, flip, row) as connection,
            aclosing(walked(connection, Scope(ACME), Means(desk.parts.keys.keys, desk.parts.intake.marker))) as steps,
        ):
            async for each in steps:
                if not isinstance(each, Audited) or each.findings:
                    return True
    except IntegrityError:
        return True
    return False
