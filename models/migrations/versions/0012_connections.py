"""Which rails workers have; and payouts of every state that needs a person come to stand in the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rail_connection",
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rail"),
    )
    # Whoever is judged anew has the queue written anew; the sweep wakes what is on this list for long.
    op.execute("""
        INSERT INTO to_judge (referral_id)
        SELECT DISTINCT referral_id FROM payout
        WHERE state IN ('manual_review', 'refused', 'unknown') AND referral_id IS NOT NULL
    """)


def downgrade() -> None:
    op.drop_table("rail_connection")
