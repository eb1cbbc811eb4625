"""What a fuller judgement stands on: inquiries at sources, the blocklist, moved beneficiaries, totals, and traces.

The totals are kept by the database itself, with every change of a leg, so that no judgement adds up a program's past.
Traces are names under which a fact is found again though no referral listens to them: an address on the network, a
device, a payment instrument, an enrolment's person.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEEP_TOTALS = """
CREATE FUNCTION keep_held_totals() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before int := 0;
    after int := 0;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state NOT IN ('cancelled', 'clawed_back') THEN before := 1; END IF;
    IF TG_OP <> 'DELETE' AND NEW.state NOT IN ('cancelled', 'clawed_back') THEN after := 1; END IF;
    IF TG_OP = 'UPDATE' AND before = after AND OLD.amount_minor = NEW.amount_minor THEN RETURN NULL; END IF;
    -- The program's total always comes first, so that no two transactions wait for each other in a circle.
    IF before = 1 THEN
        UPDATE held_total SET rewards = rewards - 1, amount_minor = amount_minor - OLD.amount_minor
        WHERE program = OLD.program AND referrer = '';
        UPDATE held_total SET rewards = rewards - 1, amount_minor = amount_minor - OLD.amount_minor
        WHERE program = OLD.program AND referrer = OLD.referrer AND OLD.role = 'referrer' AND referrer <> '';
    END IF;
    IF after = 1 THEN
        INSERT INTO held_total (program, referrer, rewards, amount_minor)
        SELECT NEW.program, whose, 1, NEW.amount_minor FROM (
            SELECT '' AS whose UNION SELECT NEW.referrer WHERE NEW.role = 'referrer'
        ) AS both_totals ORDER BY whose COLLATE "C"
        ON CONFLICT (program, referrer) DO UPDATE
        SET rewards = held_total.rewards + 1, amount_minor = held_total.amount_minor + excluded.amount_minor;
    END IF;
    RETURN NULL;
END $$
"""

FILL_TOTALS = """
INSERT INTO held_total (program, referrer, rewards, amount_minor)
SELECT program, '', count(*), sum(amount_minor) FROM leg WHERE state NOT IN ('cancelled', 'clawed_back') GROUP BY 1
UNION ALL
SELECT program, referrer, count(*), sum(amount_minor) FROM leg
WHERE state NOT IN ('cancelled', 'clawed_back') AND role = 'referrer' AND referrer <> '' GROUP BY 1, 2
"""

FILE_TRACES = """
INSERT INTO fact_key (key, fact_id)
SELECT DISTINCT CASE WHEN f.type = 'referrer.enrolled' THEN 'enrolled:' || m.mark ELSE m.mark END, f.id
FROM fact f CROSS JOIN unnest(f.marks) AS m(mark)
WHERE f.type IN ('referral.claimed', 'conversion.recorded') AND m.mark ~ '^(ip|device|fingerprint):'
   OR f.type = 'referrer.enrolled' AND m.mark ~ '^(customer|email|phone|device|fingerprint):'
ON CONFLICT DO NOTHING
"""


#: Where a referral's id stands. It is compared by code point everywhere, else no index serves a join on it.
NAMES_A_REFERRAL = (
    ("clawback_case", "referral_id"),
    ("decision", "referral_id"),
    ("ledger_transaction", "referral_id"),
    ("leg", "referral_id"),
    ("outbox", "target"),
    ("payout", "referral_id"),
    ("referral_step", "referral_id"),
    ("reward_claim", "referral_id"),
    ("to_judge", "referral_id"),
)


def upgrade() -> None:
    for table, column in NAMES_A_REFERRAL:
        op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar COLLATE "C"')
    op.create_table(
        "held_total",
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("referrer", sa.String(), nullable=False),
        sa.Column("rewards", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("program", "referrer"),
    )
    op.create_table(
        "inquiry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(collation="C"), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_inquiry_referral_id", "inquiry", ["referral_id"])
    op.create_table(
        "blocked_mark",
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("mark"),
    )
    op.add_column("reward_claim", sa.Column("referrer", sa.String(), nullable=True))
    op.add_column("referral", sa.Column("moved_to", sa.String(), nullable=True))
    op.add_column("referral", sa.Column("moved_by", sa.Uuid(), nullable=True))
    op.create_index("ix_referral_referrer_began_at", "referral", ["referrer", "program", "began_at"])
    op.create_index("ix_fact_reported", "fact", ["id"], postgresql_where=sa.text("type = 'conversion.reported'"))
    op.create_index("ix_referral_late_facts", "referral", ["id"], postgresql_where=sa.text("late_facts > 0"))
    op.execute(KEEP_TOTALS)
    op.execute(
        "CREATE TRIGGER leg_totals AFTER INSERT OR UPDATE OF state, amount_minor OR DELETE ON leg"
        " FOR EACH ROW EXECUTE FUNCTION keep_held_totals()"
    )
    op.execute(FILL_TOTALS)
    op.execute(FILE_TRACES)
    op.execute(
        "CREATE TRIGGER inquiry_append_only BEFORE UPDATE OR DELETE ON inquiry"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER inquiry_no_truncate BEFORE TRUNCATE ON inquiry"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("the record is not taken down; restore a backup instead")
