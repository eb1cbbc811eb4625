-- An event of a source, as its vendor told it.
CREATE TABLE source_event (
    id UUID PRIMARY KEY,
    source VARCHAR COLLATE "C" NOT NULL,
    event_id VARCHAR COLLATE "C" NOT NULL,
    type VARCHAR NOT NULL,
    at TIMESTAMPTZ,
    received_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT uq_source_event_identity UNIQUE (source, event_id)
);
CREATE INDEX ix_source_event_received ON source_event (source, received_at, id);

-- The event byte by byte, with its headers and its URL. It holds personal data and is sealed.
CREATE TABLE source_payload (
    event UUID PRIMARY KEY,
    sealed BYTEA,
    erased_at TIMESTAMPTZ
);
CREATE TRIGGER source_payload_sealed BEFORE UPDATE ON source_payload
    FOR EACH ROW EXECUTE FUNCTION refuse_rewriting_sealed();

-- What was made of an event when it was read last.
CREATE TABLE source_reading (
    event UUID PRIMARY KEY,
    source VARCHAR COLLATE "C" NOT NULL,
    outcome VARCHAR NOT NULL,
    why VARCHAR,
    awaits VARCHAR COLLATE "C",
    facts JSONB NOT NULL,
    read_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_source_reading_facts ON source_reading USING gin (facts);
CREATE INDEX ix_source_reading_awaits ON source_reading (source, awaits) WHERE awaits IS NOT NULL;
CREATE INDEX ix_source_reading_stuck ON source_reading (source, read_at) WHERE outcome IN ('waiting', 'unreadable');

-- How far a source was pulled, and how that went.
CREATE TABLE source_cursor (
    source VARCHAR COLLATE "C" PRIMARY KEY,
    version INTEGER NOT NULL,
    since_at TIMESTAMPTZ NOT NULL,
    opened_at TIMESTAMPTZ,
    place VARCHAR,
    begun_at TIMESTAMPTZ NOT NULL,
    succeeded_at TIMESTAMPTZ,
    problem VARCHAR,
    events_new BIGINT NOT NULL,
    events_known BIGINT NOT NULL,
    forgotten_since_at TIMESTAMPTZ,
    forgotten_until_at TIMESTAMPTZ
);

-- A name of a vendor's, as of a payment, and the order that it is of.
CREATE TABLE source_name (
    source VARCHAR COLLATE "C",
    name VARCHAR COLLATE "C",
    order_id VARCHAR NOT NULL,
    store VARCHAR,
    PRIMARY KEY (source, name)
);
CREATE INDEX ix_source_name_order ON source_name (source, order_id);
