"""The queue as a table of its own, and views that people save."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queue_entry",
        sa.Column("referral_id", sa.String(collation="C"), nullable=False),
        sa.Column("exception", sa.String(), nullable=False),
        sa.Column("subject", sa.String(collation="C"), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("about", sa.String(), nullable=True),
        sa.Column("referrer", sa.String(collation="C"), nullable=True),
        sa.Column("customer", sa.String(collation="C"), nullable=True),
        sa.Column("order_id", sa.String(collation="C"), nullable=True),
        sa.Column("recommendation", sa.String(), nullable=True),
        sa.Column("flags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("routes", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalate_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("referral_id", "exception", "subject"),
    )
    op.create_index(
        "ix_queue_entry_amount", "queue_entry", ["amount_minor", "referral_id", "exception", "subject"], unique=False
    )
    op.create_index("ix_queue_entry_customer", "queue_entry", ["customer"], unique=False)
    op.create_index("ix_queue_entry_flags", "queue_entry", ["flags"], unique=False, postgresql_using="gin")
    op.create_index("ix_queue_entry_order_id", "queue_entry", ["order_id"], unique=False)
    op.create_index(
        "ix_queue_entry_program_since",
        "queue_entry",
        ["program", "since", "referral_id", "exception", "subject"],
        unique=False,
    )
    op.create_index("ix_queue_entry_referrer", "queue_entry", ["referrer"], unique=False)
    op.create_index(
        "ix_queue_entry_remind_at",
        "queue_entry",
        ["remind_at"],
        unique=False,
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )
    op.create_index("ix_queue_entry_routes", "queue_entry", ["routes"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_queue_entry_since", "queue_entry", ["since", "referral_id", "exception", "subject"], unique=False
    )
    op.create_table(
        "saved_view",
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"],
            ["app_user.name"],
        ),
        sa.PrimaryKeyConstraint("username", "name"),
    )


def downgrade() -> None:
    raise NotImplementedError("the record is not taken down; restore a backup instead")
