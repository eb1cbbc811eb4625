"""The life of a payout: generations of its key, what lowers it, its steps, halted rails; what decisions on money say.

Payouts that there are were made of one referral each; what is known of their life begins their history.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: Whoever moves a payout, and by whatever path, leaves a step.
NOTE_STEP = """
CREATE FUNCTION note_payout_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payout_step (payout_id, generation, at, act, state, why, reference)
    VALUES (NEW.id, NEW.generation, NEW.updated_at, CASE TG_OP WHEN 'INSERT' THEN 'planned' ELSE 'moved' END,
            NEW.state, NEW.why, NEW.provider_reference);
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "payout_step",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_payout_step_payout_id", "payout_step", ["payout_id", "id"], unique=False)
    op.create_table(
        "payout_deduction",
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="ck_payout_deduction_amount"),
        sa.PrimaryKeyConstraint("payout_id", "kind", "source"),
    )
    op.create_index("ix_payout_deduction_source", "payout_deduction", ["source"], unique=False)
    op.create_table(
        "rail_halt",
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("halted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("rail"),
    )
    for column in ("key_used_at", "missed_at", "settled_at", "due_at"):
        op.add_column("payout", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE payout SET key_used_at = first_sent_at")
    op.execute("UPDATE payout SET due_at = updated_at WHERE state IN ('sending', 'accepted', 'unknown')")
    op.execute("UPDATE payout SET settled_at = updated_at WHERE state = 'settled'")
    op.alter_column("payout", "referral_id", nullable=True)
    op.drop_constraint("ck_payout_amount", "payout", type_="check")
    op.create_check_constraint("ck_payout_amount", "payout", "amount_minor >= 0")
    op.create_index("ix_payout_payee", "payout", ["payee", "rail"], unique=False)
    op.create_index("ix_payout_provider_reference", "payout", ["provider_reference"], unique=False)
    op.add_column(
        "decision", sa.Column("details", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.create_index("ix_decision_claim_id", "decision", ["claim_id"], unique=False)
    op.execute("""
        INSERT INTO payout_step (payout_id, generation, at, act, state, why, reference)
        SELECT id, generation, coalesce(first_sent_at, updated_at), 'recorded', state, why, provider_reference
        FROM payout
    """)
    op.execute(NOTE_STEP)
    op.execute("CREATE TRIGGER payout_history AFTER INSERT ON payout FOR EACH ROW EXECUTE FUNCTION note_payout_step()")
    op.execute(
        "CREATE TRIGGER payout_history_of_moves AFTER UPDATE ON payout FOR EACH ROW"
        " WHEN (NEW.state <> OLD.state OR NEW.generation <> OLD.generation) EXECUTE FUNCTION note_payout_step()"
    )
    op.execute(
        "CREATE TRIGGER payout_step_append_only BEFORE UPDATE OR DELETE ON payout_step"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER payout_step_no_truncate BEFORE TRUNCATE ON payout_step"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("the life of payouts is not forgotten; restore a backup instead")
