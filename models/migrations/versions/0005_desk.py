"""The queue as a table of its own, filled with what waits; and views that people save."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ENTRY = ("referral_id", "exception", "subject")
FLAGS = (
    *("evidence_conflict", "self_referral", "duplicate_claim", "disputed_attribution", "attribution_changed"),
    *("cap_limited", "budget_exhausted", "consent_unclear", "unresolved_customer_issue"),
    *("public_advocacy_not_permitted", "dispute_open", "currency_mismatch", "check_could_not_run"),
    *("partner_exception", "fraud_suspected", "partial_refund", "manual_request", "late_fact"),
)
UNDATED = "exception = 'approval' AND status = 'awaiting_approval' AND remind_at IS NULL"

#: Name, columns and, where it holds only some entries, which.
INDEXES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("since", ("since", *ENTRY), None),
    *((column, (column, "since", *ENTRY), None) for column in ("program", "recommendation")),
    ("exception", ("exception", "since", "referral_id", "subject"), None),
    ("unflagged", ("since", *ENTRY), "flags = '{}'"),
    *((f"flag_{flag}", ("since", *ENTRY), f"flags @> '{{{flag}}}'") for flag in FLAGS),
    *(
        (f"route_{role}", ("since", *ENTRY), f"routes @> '{{{role}}}'")
        for role in ("finance", "program_owner", "operations")
    ),
    ("amount", ("currency", "amount_minor", *ENTRY), "amount_minor > 0"),
    ("remind_at", ("remind_at", *ENTRY), "remind_at IS NOT NULL"),
    ("undated", ("referral_id",), UNDATED),
    *((column, (column,), None) for column in ("referrer", "customer", "order_id")),
)

# From when on a claim is overdue, its program's calendar says: the sweep fills that in.
FILL = """
INSERT INTO queue_entry (referral_id, exception, subject, program, status, reason, about, referrer, customer, order_id,
                         recommendation, flags, routes, amount_minor, currency, since)
SELECT w.id, w.exception, w.subject, coalesce(r.program, ''), coalesce(r.status, ''), r.reason, w.about, r.referrer,
       (SELECT min(substr(k.key, 10)) FROM referral_key k WHERE k.referral_id = r.id AND k.key LIKE 'customer:%'),
       coalesce(w.reported, r.order_id), c.body->>'recommendation',
       ARRAY(SELECT DISTINCT raised->>'flag' FROM jsonb_array_elements(c.body->'flags') AS raised ORDER BY 1),
       ARRAY(SELECT jsonb_array_elements_text(c.body->'requirement'->'routes') ORDER BY 1),
       legs.amount_minor, legs.currency, w.since
FROM (
    SELECT r.id, 'approval' AS exception, '' AS subject, CAST(NULL AS text) AS about, CAST(NULL AS text) AS reported,
           (SELECT max(at) FROM referral_step s WHERE s.referral_id = r.id AND s.status = 'awaiting_approval') AS since
    FROM referral r WHERE r.status IN ('awaiting_approval', 'on_hold')
    UNION ALL
    SELECT r.id, 'late_fact', '', r.late_facts || ' late', NULL, r.closed_at
    FROM referral r WHERE r.late_facts > 0 AND r.closed_at IS NOT NULL
    UNION ALL
    SELECT c.referral_id, 'clawback', c.leg_id || '/' || c.fact_id, c.why, NULL, c.opened_at
    FROM clawback_case c WHERE c.state = 'open'
    UNION ALL
    SELECT p.referral_id, 'payout_' || p.state, CAST(p.id AS text), p.why, NULL, p.updated_at
    FROM payout p WHERE p.state IN ('manual_review', 'refused')
    UNION ALL
    SELECT r.id, 'reported', CAST(f.id AS text),
           'the referee tells of ' || coalesce('order ' || (f.data->>'order'), 'a purchase')
           || ', which no source has confirmed', f.data->>'order', f.occurred_at
    FROM fact f JOIN referral_fact rf ON rf.fact_id = f.id JOIN referral r ON r.id = rf.referral_id
    WHERE f.type = 'conversion.reported' AND r.closed_at IS NULL
      AND r.status IN ('invited', 'purchased_unclaimed', 'claimed')
      AND NOT EXISTS (
          SELECT 1 FROM fact_key fk JOIN fact told ON told.id = fk.fact_id AND told.type = 'conversion.recorded'
          WHERE fk.key = 'order:' || (f.data->>'order'))
) AS w
JOIN referral r USING (id) LEFT JOIN reward_claim c ON c.id = r.claim_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(CAST(leg->>'amount_minor' AS bigint)), 0) AS amount_minor, min(leg->>'currency') AS currency
    FROM jsonb_array_elements(c.body->'legs') AS leg
) AS legs
"""


def upgrade() -> None:
    op.create_table(
        "queue_entry",
        sa.Column("referral_id", sa.String(collation="C"), nullable=False),
        sa.Column("exception", sa.String(collation="C"), nullable=False),
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
    op.execute(FILL)
    for name, columns, condition in INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(f"ix_queue_entry_{name}", "queue_entry", [*columns], unique=False, postgresql_where=where)
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
