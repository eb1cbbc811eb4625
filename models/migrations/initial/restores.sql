-- A restore of the register to an earlier state.
CREATE TABLE register_restore (
    number INTEGER PRIMARY KEY,
    restored_to TIMESTAMPTZ NOT NULL,
    found_at TIMESTAMPTZ NOT NULL,
    found_by VARCHAR NOT NULL,
    lost VARCHAR NOT NULL
);

-- A rail that is halted after a restore until a person opens it again.
CREATE TABLE restored_rail (
    rail VARCHAR PRIMARY KEY,
    restore INTEGER NOT NULL REFERENCES register_restore,
    restored_to TIMESTAMPTZ NOT NULL,
    halted_at TIMESTAMPTZ NOT NULL,
    why VARCHAR NOT NULL,
    reopened_at TIMESTAMPTZ,
    reopened_by UUID
);

-- A payment that a rail shows under an id of ours and that the register lacks.
CREATE TABLE forgotten_payment (
    id UUID PRIMARY KEY,
    rail VARCHAR NOT NULL,
    reference VARCHAR NOT NULL,
    payout_id UUID NOT NULL,
    payee VARCHAR,
    destination VARCHAR,
    amount_minor BIGINT,
    currency VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    made_at TIMESTAMPTZ,
    found_at TIMESTAMPTZ NOT NULL,
    assigned_to UUID,
    disowned_at TIMESTAMPTZ,
    decision_id UUID,
    CONSTRAINT ck_forgotten_payment_one_end CHECK (assigned_to IS NULL OR disowned_at IS NULL)
);
CREATE UNIQUE INDEX uq_forgotten_payment ON forgotten_payment (rail, reference);

-- What a rail took back of a payment and no reversal of ours accounted for.
CREATE TABLE forgotten_reversal (
    id UUID PRIMARY KEY,
    payout_id UUID NOT NULL,
    rail VARCHAR NOT NULL,
    reference VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    adopted_minor BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    found_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT ck_forgotten_reversal_adopted CHECK (adopted_minor BETWEEN 0 AND amount_minor)
);
CREATE INDEX ix_forgotten_reversal_payout_id ON forgotten_reversal (payout_id);

-- When a rail was last asked what it took back of a payment. Null: it is to be asked.
CREATE TABLE reversal_look (
    payout_id UUID PRIMARY KEY,
    asked_at TIMESTAMPTZ
);

-- The fingerprint of a secret that belongs to this register.
CREATE TABLE register_secret (
    name VARCHAR PRIMARY KEY,
    fingerprint VARCHAR NOT NULL,
    noted_at TIMESTAMPTZ NOT NULL
);
