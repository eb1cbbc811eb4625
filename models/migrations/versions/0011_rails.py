"""Beside payments: events that providers tell of, instructions to people, and what payees are handed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_event",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("payout_id", sa.Uuid(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "event_id"),
    )
    op.create_index("ix_provider_event_object", "provider_event", ["source", "kind", "object_id"], unique=False)
    op.create_index("ix_provider_event_payout_id", "provider_event", ["payout_id"], unique=False)
    op.create_table(
        "payment_instruction",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("payee", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=True),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="ck_payment_instruction_amount"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_payment_instruction_payout_id", "payment_instruction", ["payout_id"], unique=False)
    op.create_table(
        "handover",
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("paid_as", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("payout_id", "paid_as"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_handover_reference", "handover", ["reference"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("what was paid by hand is not forgotten; restore a backup instead")
