-- One payout cycle of a program. Its payouts form the list.
CREATE TABLE payout_cycle (
    id UUID PRIMARY KEY,
    program VARCHAR NOT NULL,
    due_on DATE NOT NULL,
    version INTEGER NOT NULL,
    minimum_minor BIGINT,
    currency VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    cursor VARCHAR,
    digest VARCHAR,
    turn INTEGER NOT NULL DEFAULT 0,
    summary JSONB NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    frozen_at TIMESTAMPTZ,
    done_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_payout_cycle_state ON payout_cycle (state);
CREATE UNIQUE INDEX uq_payout_cycle_program_due_on ON payout_cycle (program, due_on);
