"""The schema of the first release, in SQL: beside this folder one file for each module of `models`, of the same name.

A table stands with its indexes, functions and triggers; which tables only ever grow is said in ``append_only.sql``.
Until the first release a change of the schema is made in these files, from then on in a revision of its own.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FOLDER: Final = Path(__file__).parents[1] / "initial"
#: A table comes after those that it refers to.
_IN_ORDER: Final = (
    *("programs", "facts", "referrals", "claims"),
    *("payouts", "cycles", "clawbacks", "rails", "ledger", "reconciliations"),
    *("notices", "users", "desk", "append_only"),
)


def upgrade() -> None:
    # Each file goes to the database as it stands: no colon or percent sign in it begins a parameter.
    connection = op.get_bind().execution_options(no_parameters=True)
    for name in _IN_ORDER:
        connection.exec_driver_sql((_FOLDER / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("the record is not taken down; restore a backup instead")
