"""How people sign in, what a token may do, and the record of who did what.

A token that there was may do what its user could: a service its scopes, a person read and decide. The decisions and
versions that were recorded so far begin the record of who did what.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("details", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_event_act", "audit_event", ["act", "id"], unique=False)
    op.create_index("ix_audit_event_actor", "audit_event", ["actor", "id"], unique=False)
    op.create_index("ix_audit_event_subject", "audit_event", ["subject", "id"], unique=False)
    op.create_table(
        "oidc_flow",
        sa.Column("state_hash", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("code_verifier", sa.String(), nullable=False),
        sa.Column("return_to", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("state_hash"),
    )
    op.create_index("ix_oidc_flow_expires_at", "oidc_flow", ["expires_at"], unique=False)
    op.create_table(
        "sign_in_failure",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_sign_in_failure_key_at", "sign_in_failure", ["key", "at"], unique=False)
    op.create_table(
        "oidc_identity",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"],
            ["app_user.name"],
        ),
        sa.PrimaryKeyConstraint("issuer", "subject"),
    )
    op.create_index("ix_oidc_identity_username", "oidc_identity", ["username"], unique=False)
    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"],
            ["app_user.name"],
        ),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("ix_session_expires_at", "session", ["expires_at"], unique=False)
    op.create_index("ix_session_username", "session", ["username"], unique=False)
    op.add_column("api_token", sa.Column("label", sa.String(), nullable=False, server_default=""))
    op.add_column("api_token", sa.Column("scopes", sa.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("api_token", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_token", sa.Column("issued_by", sa.Uuid(), nullable=True))
    op.create_foreign_key(None, "api_token", "api_token", ["issued_by"], ["id"])
    op.create_index("ix_api_token_issued_by", "api_token", ["issued_by"], unique=False)
    op.add_column("app_user", sa.Column("password_hash", sa.String(), nullable=True))
    op.add_column("app_user", sa.Column("contact_id", sa.Uuid(), nullable=True))
    op.alter_column("api_token", "label", server_default=None)
    op.execute(
        "UPDATE api_token SET scopes = u.scopes || CASE WHEN u.roles <> '{}'"
        " THEN ARRAY['claims:read', 'claims:decide'] ELSE '{}' END FROM app_user u WHERE u.name = api_token.username"
    )
    op.execute(
        "INSERT INTO audit_event (at, actor, act, subject, details)"
        " SELECT published_at, published_by, 'program.published', program, jsonb_build_object('version', version)"
        " FROM program_version ORDER BY published_at, program, version"
    )
    op.execute(
        "INSERT INTO audit_event (at, actor, act, subject, details)"
        " SELECT decided_at, username, 'decision.recorded', referral_id,"
        " jsonb_build_object('decision', id, 'kind', kind, 'reason', reason) FROM decision ORDER BY seq"
    )
    op.execute(
        "CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE ON audit_event"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("the record is not taken down; restore a backup instead")
