"""Payouts and clawback cases are listed newest first: when a payout was planned, and indexes in that order."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payout", sa.Column("created_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("""
        UPDATE payout p SET created_at = coalesce(
            (SELECT min(s.at) FROM payout_step s WHERE s.payout_id = p.id), p.first_sent_at, p.updated_at
        )
    """)
    op.alter_column("payout", "created_at", nullable=False, server_default=sa.text("now()"))
    op.create_index("ix_payout_created_at", "payout", ["created_at", "id"], unique=False)
    op.create_index("ix_clawback_case_opened_at", "clawback_case", ["opened_at", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_clawback_case_opened_at", "clawback_case")
    op.drop_index("ix_payout_created_at", "payout")
    op.drop_column("payout", "created_at")
