"""What counts in a payee's year, and who waits for a form: found without reading the register through."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_leg_tax_hold", "leg", ["beneficiary"], unique=False, postgresql_where=sa.text("state = 'tax_hold'")
    )
    op.create_index(
        "ix_payout_settled",
        "payout",
        ["payee", "settled_at"],
        unique=False,
        postgresql_where=sa.text("state = 'settled'"),
    )
    op.create_index(
        "ix_payout_under_way",
        "payout",
        ["payee"],
        unique=False,
        postgresql_where=sa.text("state NOT IN ('settled', 'cancelled')"),
    )
    # Whoever waits already learns when it can go on by itself.
    op.execute("INSERT INTO to_judge (referral_id) SELECT DISTINCT referral_id FROM leg WHERE state = 'tax_hold'")


def downgrade() -> None:
    op.drop_index("ix_payout_under_way", table_name="payout")
    op.drop_index("ix_payout_settled", table_name="payout")
    op.drop_index("ix_leg_tax_hold", table_name="leg")
