"""The communication history, who outside is told of events, and links to one's own status.

Beside them, since when a claim waits for its approvers: of those there are, since it last came before them. Each of
these is judged once more, so that its approvers are reminded in time, or at once if it is overdue.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WAITING_SINCE = """
UPDATE referral AS r SET waiting_since = (
    SELECT max(at) FROM referral_step s WHERE s.referral_id = r.id AND s.status = 'awaiting_approval'),
    wake_at = least(wake_at, now())
WHERE r.status = 'awaiting_approval'
"""


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.String(collation="C"), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_notice_due_at", "notice", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index("ix_notice_referral_id", "notice", ["referral_id"], unique=False)
    op.create_index("ix_notice_settled_at", "notice", ["settled_at", "state"], unique=False)
    op.create_table(
        "webhook_endpoint",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("name"),
    )
    for side in ("referrer", "referee"):
        column = sa.Column(f"{side}_link", sa.Integer(), nullable=False, server_default="1")
        op.add_column("referral", column)
    op.add_column("referral", sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    op.execute(_WAITING_SINCE)


def downgrade() -> None:
    raise NotImplementedError("the record is not taken down; restore a backup instead")
