-- One comparison of what we paid over a rail with what the rail shows.
CREATE TABLE reconciliation (
    id UUID PRIMARY KEY,
    rail VARCHAR NOT NULL,
    since_at TIMESTAMPTZ NOT NULL,
    until_at TIMESTAMPTZ NOT NULL,
    asked_by VARCHAR NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    state VARCHAR NOT NULL,
    sight VARCHAR,
    why VARCHAR,
    ours INTEGER NOT NULL,
    theirs INTEGER NOT NULL,
    differences INTEGER NOT NULL,
    under_way INTEGER NOT NULL,
    ended_at TIMESTAMPTZ
);
CREATE INDEX ix_reconciliation_asked_at ON reconciliation (asked_at, id);

-- A payment as the rail listed it.
CREATE TABLE listed_payment (
    reconciliation_id UUID REFERENCES reconciliation,
    reference VARCHAR,
    payout_id UUID,
    names UUID,
    key VARCHAR,
    amount_minor BIGINT,
    currency VARCHAR NOT NULL,
    destination VARCHAR,
    state VARCHAR NOT NULL,
    reversed_minor BIGINT NOT NULL,
    made_at TIMESTAMPTZ,
    takes_back BOOLEAN NOT NULL,
    PRIMARY KEY (reconciliation_id, reference)
);
CREATE INDEX ix_listed_payment_payout_id ON listed_payment (reconciliation_id, payout_id);

-- One difference.
CREATE TABLE reconciliation_difference (
    id UUID PRIMARY KEY,
    reconciliation_id UUID NOT NULL REFERENCES reconciliation,
    kind VARCHAR NOT NULL,
    payout_id UUID,
    reference VARCHAR,
    ours VARCHAR NOT NULL,
    theirs VARCHAR NOT NULL
);
CREATE INDEX ix_reconciliation_difference_of ON reconciliation_difference (reconciliation_id, id);
