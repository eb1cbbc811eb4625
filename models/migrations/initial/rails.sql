-- An event reported by a provider, recorded once under the provider's id.
CREATE TABLE provider_event (
    source VARCHAR,
    event_id VARCHAR,
    kind VARCHAR NOT NULL,
    object_id VARCHAR NOT NULL,
    payout_id UUID,
    digest VARCHAR NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (source, event_id)
);
CREATE INDEX ix_provider_event_object ON provider_event (source, kind, object_id);
CREATE INDEX ix_provider_event_payout_id ON provider_event (payout_id);

-- An instruction to people to make a payment by hand. It is written when a person first exports it.
CREATE TABLE payment_instruction (
    key VARCHAR PRIMARY KEY,
    payout_id UUID NOT NULL,
    payee VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    destination VARCHAR,
    program VARCHAR NOT NULL,
    written_at TIMESTAMPTZ NOT NULL,
    exported_by VARCHAR NOT NULL,
    CONSTRAINT ck_payment_instruction_amount CHECK (amount_minor > 0)
);
CREATE INDEX ix_payment_instruction_payout_id ON payment_instruction (payout_id);

-- A link or code that a payout's rail gave for the payee.
CREATE TABLE handover (
    payout_id UUID,
    paid_as VARCHAR,
    id UUID NOT NULL UNIQUE,
    kind VARCHAR NOT NULL,
    reference VARCHAR NOT NULL,
    given_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (payout_id, paid_as)
);
CREATE INDEX ix_handover_reference ON handover (reference);

-- A provider's rail that a worker reports as connected.
CREATE TABLE rail_connection (
    rail VARCHAR PRIMARY KEY,
    mode VARCHAR NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL
);
