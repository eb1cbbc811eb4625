"""Payout cycles, and payouts that belong to one instead of a referral."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# A leg that left a payout which others are paid by has nothing to do with that any more.
_PAYOUTS_OF = """
CREATE FUNCTION payouts_of(its_referral text)
RETURNS TABLE (payout_id uuid, leg_id uuid, role text, live boolean) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (pl.payout_id, l.role) pl.payout_id, l.id, CAST(l.role AS text), pl.live
    FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout p ON p.id = pl.payout_id
    WHERE l.referral_id = its_referral AND (pl.live OR p.state = 'cancelled' OR p.referral_id = its_referral)
    ORDER BY pl.payout_id, l.role, pl.live DESC, l.approved_at DESC
$$
"""


def upgrade() -> None:
    op.create_table(
        "payout_cycle",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("cursor", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("turn", sa.Integer(), server_default="0", nullable=False),
        sa.Column("summary", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_payout_cycle_state", "payout_cycle", ["state"], unique=False)
    op.create_index("uq_payout_cycle_program_due_on", "payout_cycle", ["program", "due_on"], unique=True)
    op.add_column("payout", sa.Column("cycle_id", sa.Uuid(), nullable=True))
    op.create_index("ix_payout_cycle_id", "payout", ["cycle_id", "id"], unique=False)
    # Of a cycle, what is still on its way, so that its end is found without reading all of it.
    op.create_index(
        "ix_payout_cycle_moving",
        "payout",
        ["cycle_id"],
        unique=False,
        postgresql_where=sa.text(
            "cycle_id IS NOT NULL AND state NOT IN ('settled', 'returned', 'refused', 'manual_review', 'cancelled')"
        ),
    )
    # Which payouts a leg was ever in, and which legs are due: what a cycle gathers, payee by payee.
    op.create_index("ix_payout_leg_leg_id", "payout_leg", ["leg_id"], unique=False)
    op.create_index(
        "ix_leg_due",
        "leg",
        ["program", "beneficiary", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('reserved', 'tax_hold')"),
    )
    op.create_check_constraint("ck_payout_of_one", "payout", "(referral_id IS NULL) <> (cycle_id IS NULL)")
    op.execute(_PAYOUTS_OF)


def downgrade() -> None:
    raise NotImplementedError("what was paid together is not taken apart; restore a backup instead")
