"""Clawbacks: what a person decided to get back of a paid leg, and how far that came."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


# Of a leg no more is taken than was paid, and at its provider no more than was sent; what could not be had back is not
# taken. The leg's row is the lock: of two acts at once the later one sees what the earlier one took.
REFUSE_TOO_MUCH = """
CREATE FUNCTION refuse_too_much() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid bigint;
    sent bigint;
BEGIN
    SELECT CASE WHEN state IN ('paid', 'clawed_back') THEN amount_minor ELSE 0 END INTO paid
    FROM leg WHERE id = NEW.leg_id FOR UPDATE;
    SELECT amount_minor INTO sent FROM payout WHERE id = NEW.payout_id;
    IF TG_OP = 'UPDATE' AND taken_by(NEW) <= taken_by(OLD) THEN
        RETURN NEW;
    END IF;
    IF taken_by(NEW) + coalesce(
        (SELECT sum(taken_by(b)) FROM clawback b WHERE b.leg_id = NEW.leg_id AND b.id <> NEW.id), 0
    ) > coalesce(paid, 0) THEN
        RAISE EXCEPTION 'clawback % takes more of leg % than was paid', NEW.id, NEW.leg_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind = 'reverse' AND taken_by(NEW) + coalesce(
        (SELECT sum(taken_by(b)) FROM clawback b
         WHERE b.payout_id = NEW.payout_id AND b.kind = 'reverse' AND b.id <> NEW.id), 0
    ) > coalesce(sent, 0) THEN
        RAISE EXCEPTION 'clawback % takes more of payout % than was sent', NEW.id, NEW.payout_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""

TAKEN_BY = """
CREATE FUNCTION taken_by(b clawback) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b.state IN ('unrecoverable', 'partly_reversed') THEN b.recovered_minor ELSE b.amount_minor END
$$
"""

REFUSE_REWRITING = """
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.case_id, NEW.leg_id, NEW.payout_id, NEW.payee, NEW.kind, NEW.amount_minor, NEW.currency,
        NEW.decision_id) IS DISTINCT FROM
       (OLD.id, OLD.case_id, OLD.leg_id, OLD.payout_id, OLD.payee, OLD.kind, OLD.amount_minor, OLD.currency,
        OLD.decision_id) THEN
        RAISE EXCEPTION 'what was decided of clawback % is not rewritten', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""


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
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=True),
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
    op.create_index("ix_clawback_payee", "clawback", ["payee", "state", "currency"], unique=False)
    op.create_index(op.f("ix_clawback_referral_id"), "clawback", ["referral_id"], unique=False)
    op.create_index("ix_clawback_state", "clawback", ["state"], unique=False)
    op.add_column("clawback_case", sa.Column("id", sa.Uuid(), nullable=True))
    op.execute("UPDATE clawback_case SET id = gen_random_uuid()")
    op.alter_column("clawback_case", "id", nullable=False)
    op.create_index("uq_clawback_case_id", "clawback_case", ["id"], unique=True)
    op.add_column("clawback_case", sa.Column("proposed_minor", sa.BigInteger(), nullable=True))
    for function in (TAKEN_BY, REFUSE_TOO_MUCH, REFUSE_REWRITING):
        op.execute(function)
    op.execute(
        "CREATE TRIGGER clawback_within_paid BEFORE INSERT OR UPDATE ON clawback"
        " FOR EACH ROW EXECUTE FUNCTION refuse_too_much()"
    )
    op.execute(
        "CREATE TRIGGER clawback_as_decided BEFORE UPDATE ON clawback FOR EACH ROW EXECUTE FUNCTION refuse_rewriting()"
    )
    op.execute("CREATE TRIGGER clawback_kept BEFORE DELETE ON clawback FOR EACH ROW EXECUTE FUNCTION refuse_change()")
    op.execute(
        "CREATE TRIGGER clawback_no_truncate BEFORE TRUNCATE ON clawback"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.add_column("clawback_case", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("what was taken back is not forgotten; restore a backup instead")
