-- A person with roles, or a service with scopes.
CREATE TABLE app_user (
    name VARCHAR PRIMARY KEY,
    roles TEXT[] NOT NULL DEFAULT '{}',
    scopes TEXT[] NOT NULL DEFAULT '{}',
    marks TEXT[] NOT NULL DEFAULT '{}',
    tells_sources TEXT[] NOT NULL DEFAULT '{}',
    tells_types TEXT[] NOT NULL DEFAULT '{}',
    reads_programs TEXT[] NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL,
    barred_at TIMESTAMPTZ,
    barred_position BIGINT,
    password_hash VARCHAR,
    contact_id UUID
);

-- Whether a payment was sent before somebody was barred is told by transactions: two processes date the two.
CREATE FUNCTION note_when_barred() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.barred_position := CASE WHEN NEW.barred_at IS NOT NULL THEN register_position() END;
    RETURN NEW;
END $$;
CREATE TRIGGER app_user_barred BEFORE UPDATE OF barred_at ON app_user FOR EACH ROW
    WHEN (OLD.barred_at IS DISTINCT FROM NEW.barred_at) EXECUTE FUNCTION note_when_barred();

-- An API token, stored as its hash.
CREATE TABLE api_token (
    id UUID PRIMARY KEY,
    username VARCHAR NOT NULL REFERENCES app_user,
    token_hash VARCHAR NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    label VARCHAR NOT NULL,
    scopes TEXT[] NOT NULL DEFAULT '{}',
    tells_sources TEXT[] NOT NULL DEFAULT '{}',
    tells_types TEXT[] NOT NULL DEFAULT '{}',
    expires_at TIMESTAMPTZ,
    issued_by UUID REFERENCES api_token
);
CREATE INDEX ix_api_token_issued_by ON api_token (issued_by);
CREATE INDEX ix_api_token_username ON api_token (username);

-- A browser session of a user, identified by the hash of the cookie.
CREATE TABLE session (
    token_hash VARCHAR PRIMARY KEY,
    username VARCHAR NOT NULL REFERENCES app_user,
    roles TEXT[],
    factor VARCHAR NOT NULL,
    factor_at TIMESTAMPTZ,
    began_at TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_session_expires_at ON session (expires_at);
CREATE INDEX ix_session_username ON session (username);

-- The user who belongs to an identity at an OpenID provider, or did until it was unlinked.
CREATE TABLE oidc_identity (
    issuer VARCHAR,
    subject VARCHAR,
    username VARCHAR NOT NULL REFERENCES app_user,
    unlinked_at TIMESTAMPTZ,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX ix_oidc_identity_username ON oidc_identity (username);

-- A sign-in in progress at the OpenID provider.
CREATE TABLE oidc_flow (
    state_hash VARCHAR PRIMARY KEY,
    nonce VARCHAR NOT NULL,
    code_verifier VARCHAR NOT NULL,
    return_to VARCHAR NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_oidc_flow_expires_at ON oidc_flow (expires_at);

-- The second factor of a person who signs in with a password. Secrets are sealed.
CREATE TABLE second_factor (
    username VARCHAR PRIMARY KEY REFERENCES app_user,
    secret VARCHAR,
    offered VARCHAR,
    enrolled_at TIMESTAMPTZ,
    last_step BIGINT NOT NULL DEFAULT 0,
    reset_by VARCHAR,
    reset_at TIMESTAMPTZ,
    CHECK ((secret IS NULL) = (enrolled_at IS NULL))
);

-- A change by somebody else of how a user signs in, or where they are written to.
CREATE TABLE account_change (
    id UUID PRIMARY KEY,
    username VARCHAR NOT NULL REFERENCES app_user,
    act VARCHAR NOT NULL,
    changed_by VARCHAR NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    known_contact_id UUID,
    confirmed_by VARCHAR,
    confirmed_at TIMESTAMPTZ,
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (username <> changed_by AND changed_by IS DISTINCT FROM confirmed_by)
);
CREATE INDEX ix_account_change_unconfirmed ON account_change (username) WHERE confirmed_at IS NULL;

-- A code that stands in for the second factor once, stored as its hash.
CREATE TABLE recovery_code (
    username VARCHAR NOT NULL REFERENCES app_user,
    code_hash VARCHAR NOT NULL,
    used_at TIMESTAMPTZ,
    PRIMARY KEY (username, code_hash)
);

-- A sign-in whose password was right and whose code is awaited.
CREATE TABLE sign_in_step (
    token_hash VARCHAR PRIMARY KEY,
    username VARCHAR NOT NULL REFERENCES app_user,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_sign_in_step_expires_at ON sign_in_step (expires_at);
CREATE INDEX ix_sign_in_step_username ON sign_in_step (username);

-- A failed sign-in.
CREATE TABLE sign_in_failure (
    id BIGSERIAL PRIMARY KEY,
    key VARCHAR NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_sign_in_failure_key_at ON sign_in_failure (key, at);
