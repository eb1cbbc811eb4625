"""The register, referrals, claims, decisions, payouts and the ledger"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "app_user",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("marks", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("barred_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "clawback_case",
        sa.Column("leg_id", sa.Uuid(), nullable=False),
        sa.Column("fact_id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("leg_id", "fact_id"),
    )
    op.create_index(op.f("ix_clawback_case_referral_id"), "clawback_case", ["referral_id"], unique=False)
    op.create_table(
        "decision",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("note_commitment", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_decision_hash", "decision", ["hash"], unique=False)
    op.create_index("ix_decision_referral_id", "decision", ["referral_id"], unique=False)
    op.create_table(
        "decision_effect",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", "effect"),
    )
    op.create_table(
        "decision_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "fact",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(collation="C"), nullable=False),
        sa.Column("event_id", sa.String(collation="C"), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("marks", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content_mac", sa.String(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source", "event_id", name="uq_fact_identity"),
    )
    op.create_table(
        "fact_key",
        sa.Column("key", sa.String(collation="C"), nullable=False),
        sa.Column("fact_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("key", "fact_id"),
    )
    op.create_table(
        "ingest_batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "ledger_transaction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index(op.f("ix_ledger_transaction_referral_id"), "ledger_transaction", ["referral_id"], unique=False)
    op.create_table(
        "leg",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("referrer", sa.String(), nullable=False),
        sa.Column("order_key", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("beneficiary", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decisions", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_leg_beneficiary_approved_at", "leg", ["beneficiary", "approved_at"], unique=False)
    op.create_index("ix_leg_referral_id", "leg", ["referral_id"], unique=False)
    op.create_index("ix_leg_referrer_approved_at", "leg", ["program", "referrer", "approved_at"], unique=False)
    op.create_index(
        "uq_leg_live",
        "leg",
        ["program", "order_key", "role"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('cancelled', 'clawed_back')"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_outbox_batch_id", "outbox", ["batch_id"], unique=False)
    op.create_index("ix_outbox_ready", "outbox", ["id"], unique=False, postgresql_where=sa.text("batch_id IS NULL"))
    op.create_index("ix_outbox_target", "outbox", ["target"], unique=False)
    op.create_table(
        "payout",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("payee", sa.String(), nullable=False),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("provider_key", sa.String(), nullable=False),
        sa.Column("first_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_reference", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider_key"),
    )
    op.create_index("ix_payout_referral_id", "payout", ["referral_id"], unique=False)
    op.create_index("ix_payout_state", "payout", ["state"], unique=False)
    op.create_table(
        "payout_leg",
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("leg_id", sa.Uuid(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("payout_id", "leg_id"),
    )
    op.create_index("uq_payout_leg_live", "payout_leg", ["leg_id"], unique=True, postgresql_where=sa.text("live"))
    op.create_table(
        "personal_data",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("commitment", sa.String(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject_id"),
    )
    op.create_table(
        "program_version",
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("terms", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("program", "version"),
    )
    op.create_table(
        "referral",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("origin_rank", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("origin_source", sa.String(collation="C"), nullable=False),
        sa.Column("origin_event", sa.String(collation="C"), nullable=False),
        sa.Column("program", sa.String(), nullable=True),
        sa.Column("referrer", sa.String(), nullable=True),
        sa.Column("referrer_code", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("parked", sa.String(), nullable=True),
        sa.Column("merged_into", sa.String(), nullable=True),
        sa.Column("facts_version", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("judged_version", sa.Integer(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("order_id", sa.String(), nullable=True),
        sa.Column("conversion_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("net_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("claim_version", sa.Integer(), nullable=False),
        sa.Column("settled_rivals", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("rivals_seen", sa.String(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_version", sa.Integer(), nullable=True),
        sa.Column("late_facts", sa.Integer(), nullable=False),
        sa.Column("rewarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_referral_lagging",
        "referral",
        ["id"],
        unique=False,
        postgresql_where=sa.text("judged_version < facts_version"),
    )
    op.create_index("ix_referral_order", "referral", ["order_id"], unique=False)
    op.create_index("ix_referral_program_began_at", "referral", ["program", "began_at"], unique=False)
    op.create_index("ix_referral_status", "referral", ["status"], unique=False)
    op.create_index(
        "ix_referral_wake_at", "referral", ["wake_at"], unique=False, postgresql_where=sa.text("wake_at IS NOT NULL")
    )
    op.create_table(
        "referral_fact",
        sa.Column("referral_id", sa.String(collation="C"), nullable=False),
        sa.Column("fact_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("referral_id", "fact_id"),
    )
    op.create_table(
        "referral_key",
        sa.Column("key", sa.String(collation="C"), nullable=False),
        sa.Column("referral_id", sa.String(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("key", "referral_id"),
    )
    op.create_index("ix_referral_key_referral_id", "referral_key", ["referral_id"], unique=False)
    op.create_table(
        "referral_step",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("facts_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_referral_step_referral_id"), "referral_step", ["referral_id"], unique=False)
    op.create_table(
        "reward_claim",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("core_digest", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("facts_version", sa.Integer(), nullable=False),
        sa.Column("approved_rewards", sa.Integer(), nullable=False),
        sa.Column("assembled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reward_claim_referral_id", "reward_claim", ["referral_id"], unique=False)
    op.create_table(
        "to_judge",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_to_judge_referral_id"), "to_judge", ["referral_id"], unique=False)
    op.create_table(
        "api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["username"],
            ["app_user.name"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index(op.f("ix_api_token_username"), "api_token", ["username"], unique=False)
    op.create_table(
        "posting",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transaction.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_posting_account", "posting", ["account", "currency"], unique=False)
    op.create_index(op.f("ix_posting_transaction_id"), "posting", ["transaction_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_posting_transaction_id"), table_name="posting")
    op.drop_index("ix_posting_account", table_name="posting")
    op.drop_table("posting")
    op.drop_index(op.f("ix_api_token_username"), table_name="api_token")
    op.drop_table("api_token")
    op.drop_index(op.f("ix_to_judge_referral_id"), table_name="to_judge")
    op.drop_table("to_judge")
    op.drop_index("ix_reward_claim_referral_id", table_name="reward_claim")
    op.drop_table("reward_claim")
    op.drop_index(op.f("ix_referral_step_referral_id"), table_name="referral_step")
    op.drop_table("referral_step")
    op.drop_index("ix_referral_key_referral_id", table_name="referral_key")
    op.drop_table("referral_key")
    op.drop_table("referral_fact")
    op.drop_index("ix_referral_wake_at", table_name="referral", postgresql_where=sa.text("wake_at IS NOT NULL"))
    op.drop_index("ix_referral_status", table_name="referral")
    op.drop_index("ix_referral_program_began_at", table_name="referral")
    op.drop_index("ix_referral_order", table_name="referral")
    op.drop_index(
        "ix_referral_lagging", table_name="referral", postgresql_where=sa.text("judged_version < facts_version")
    )
    op.drop_table("referral")
    op.drop_table("program_version")
    op.drop_table("personal_data")
    op.drop_index("uq_payout_leg_live", table_name="payout_leg", postgresql_where=sa.text("live"))
    op.drop_table("payout_leg")
    op.drop_index("ix_payout_state", table_name="payout")
    op.drop_index("ix_payout_referral_id", table_name="payout")
    op.drop_table("payout")
    op.drop_index("ix_outbox_target", table_name="outbox")
    op.drop_index("ix_outbox_ready", table_name="outbox", postgresql_where=sa.text("batch_id IS NULL"))
    op.drop_index("ix_outbox_batch_id", table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(
        "uq_leg_live", table_name="leg", postgresql_where=sa.text("state NOT IN ('cancelled', 'clawed_back')")
    )
    op.drop_index("ix_leg_referrer_approved_at", table_name="leg")
    op.drop_index("ix_leg_referral_id", table_name="leg")
    op.drop_index("ix_leg_beneficiary_approved_at", table_name="leg")
    op.drop_table("leg")
    op.drop_index(op.f("ix_ledger_transaction_referral_id"), table_name="ledger_transaction")
    op.drop_table("ledger_transaction")
    op.drop_table("ingest_batch")
    op.drop_table("fact_key")
    op.drop_table("fact")
    op.drop_table("decision_head")
    op.drop_table("decision_effect")
    op.drop_index("ix_decision_referral_id", table_name="decision")
    op.drop_index("ix_decision_hash", table_name="decision")
    op.drop_table("decision")
    op.drop_index(op.f("ix_clawback_case_referral_id"), table_name="clawback_case")
    op.drop_table("clawback_case")
    op.drop_table("app_user")
