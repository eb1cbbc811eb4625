-- A request to erase a person, by ids and keyed hashes.
CREATE TABLE person_erasure (
    id UUID PRIMARY KEY,
    names TEXT[] NOT NULL DEFAULT '{}',
    asked_by VARCHAR NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    tried_at TIMESTAMPTZ NOT NULL,
    waits TEXT[] NOT NULL DEFAULT '{}',
    erased_at TIMESTAMPTZ,
    texts_blanked BIGINT NOT NULL DEFAULT 0,
    payloads_blanked BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX ix_person_erasure_tried_at ON person_erasure (tried_at, id) WHERE erased_at IS NULL;
