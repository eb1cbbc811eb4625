"""The schema of the first release, in SQL: the folder ``initial`` has one file for each module of `models`.

A table is defined together with its indexes, functions and triggers; ``append_only.sql`` lists the append-only tables.
Until the first release, change the schema in these files; after it, in a new revision.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FOLDER: Final = Path(__file__).parents[1] / "initial"
#: A table comes after the tables that it references.
_IN_ORDER: Final = (
    *("positions", "programs", "facts", "source_events", "referrals", "claims"),
    *("payouts", "cycles", "clawbacks", "rails", "ledger", "reconciliations", "restores"),
    *("measures", "examined", "notices", "users", "desk", "persons", "append_only"),
)


def upgrade() -> None:
    # Each file is executed unchanged: colons and percent signs in it are not parameters.
    connection = op.get_bind().execution_options(no_parameters=True)
    for name in _IN_ORDER:
        connection.exec_driver_sql((_FOLDER / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the record is not taken down; restore a backup instead")
