"""Clawbacks: what a person decided to get back of a paid leg, and how far that came."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clawback",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("leg_id", sa.Uuid(), nullable=False),
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(collation="C"), nullable=False),
        sa.Column("payee", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("recovered_minor", sa.BigInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("provider_key", sa.String(), nullable=False),
        sa.Column("first_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_reference", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="ck_clawback_amount"),
        sa.CheckConstraint("recovered_minor BETWEEN 0 AND amount_minor", name="ck_clawback_recovered"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider_key"),
    )
    op.create_index("ix_clawback_case_id", "clawback", ["case_id"], unique=False)
    op.create_index("ix_clawback_leg_id", "clawback", ["leg_id"], unique=False)
    op.create_index("ix_clawback_payee", "clawback", ["payee", "currency"], unique=False)
    op.create_index(op.f("ix_clawback_referral_id"), "clawback", ["referral_id"], unique=False)
    op.create_index("ix_clawback_state", "clawback", ["state"], unique=False)
    op.add_column("clawback_case", sa.Column("id", sa.Uuid(), nullable=True))
    op.execute("UPDATE clawback_case SET id = gen_random_uuid()")
    op.alter_column("clawback_case", "id", nullable=False)
    op.create_index("uq_clawback_case_id", "clawback_case", ["id"], unique=True)
    op.add_column("clawback_case", sa.Column("proposed_minor", sa.BigInteger(), nullable=True))
    op.add_column("clawback_case", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("what was taken back is not forgotten; restore a backup instead")
