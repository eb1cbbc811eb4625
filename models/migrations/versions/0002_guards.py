"""What the database itself refuses: changing the record, and books that do not balance.

Application code keeps these rules too; here they hold for whoever else gets a connection.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: Never updated, never deleted.
APPEND_ONLY = (
    "decision",
    "decision_effect",
    "fact",
    "fact_key",
    "ledger_transaction",
    "posting",
    "program_version",
    "referral_step",
    "reward_claim",
)

REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""

# Checked at commit, when all lines of a transaction are in: per currency they sum to zero.
REFUSE_UNBALANCED = """
CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    subject uuid;
BEGIN
    IF TG_TABLE_NAME = 'posting' THEN subject := NEW.transaction_id; ELSE subject := NEW.id; END IF;
    IF NOT EXISTS (SELECT 1 FROM posting WHERE transaction_id = subject) THEN
        RAISE EXCEPTION 'ledger transaction % has no postings', subject
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT 1 FROM posting WHERE transaction_id = subject GROUP BY currency HAVING sum(amount_minor) <> 0
    ) THEN
        RAISE EXCEPTION 'ledger transaction % does not balance', subject USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(REFUSE_CHANGE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(REFUSE_UNBALANCED)
    for table in ("posting", "ledger_transaction"):
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {table}_balances AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced()"
        )
    op.execute("ALTER TABLE posting ADD CONSTRAINT ck_posting_not_zero CHECK (amount_minor <> 0)")
    op.execute("ALTER TABLE leg ADD CONSTRAINT ck_leg_amount CHECK (amount_minor > 0)")
    op.execute("ALTER TABLE payout ADD CONSTRAINT ck_payout_amount CHECK (amount_minor > 0)")
    op.execute("ALTER TABLE decision_head ADD CONSTRAINT ck_decision_head_single CHECK (id = 1)")


def downgrade() -> None:
    raise NotImplementedError("the guards of the record are not taken down; restore a backup instead")
