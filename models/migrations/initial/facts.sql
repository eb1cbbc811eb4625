-- Who told facts, with which token, and what they could tell then.
CREATE TABLE fact_teller (
    id UUID PRIMARY KEY,
    username VARCHAR NOT NULL,
    token_id UUID,
    sources TEXT[] NOT NULL DEFAULT '{}',
    types TEXT[] NOT NULL DEFAULT '{}'
);

-- A recorded fact. People appear in it as marks.
CREATE TABLE fact (
    id UUID PRIMARY KEY,
    source VARCHAR COLLATE "C" NOT NULL,
    event_id VARCHAR COLLATE "C" NOT NULL,
    type VARCHAR NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    data JSONB NOT NULL,
    marks TEXT[] NOT NULL DEFAULT '{}',
    digest VARCHAR NOT NULL,
    content_mac VARCHAR NOT NULL,
    batch_id UUID,
    teller_id UUID,
    position BIGINT NOT NULL DEFAULT register_position(),
    CONSTRAINT uq_fact_identity UNIQUE (source, event_id)
);
CREATE INDEX ix_fact_position ON fact (position) WHERE type = 'satisfaction.rated';
-- The enrolments of partners' referrers.
CREATE INDEX ix_fact_partner ON fact (id) WHERE type = 'referrer.enrolled' AND data ? 'partner';
CREATE INDEX ix_fact_reported ON fact (id) WHERE type = 'conversion.reported';
-- Whose a destination is that a rail shows.
CREATE INDEX ix_fact_method ON fact ((data->>'reference')) WHERE type = 'payee.method_set';

-- A key under which a fact is found.
CREATE TABLE fact_key (
    key VARCHAR COLLATE "C",
    fact_id UUID,
    PRIMARY KEY (key, fact_id)
);
CREATE INDEX ix_fact_key_fact_id ON fact_key (fact_id);

-- The full text of a fact, note or letter, sealed with the salt of its commitment. Erasing it blanks what is sealed.
CREATE TABLE personal_data (
    subject_id UUID PRIMARY KEY,
    sealed BYTEA,
    commitment VARCHAR NOT NULL,
    erased_at TIMESTAMPTZ
);

-- Of what is sealed only the seal changes: it is renewed with another key, or erased for good.
CREATE FUNCTION refuse_rewriting_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'sealed' - 'erased_at' IS DISTINCT FROM to_jsonb(OLD) - 'sealed' - 'erased_at'
       OR (OLD.sealed IS NULL AND NEW.sealed IS NOT NULL) OR (NEW.sealed IS NULL) <> (NEW.erased_at IS NOT NULL) THEN
        RAISE EXCEPTION 'of % only what is sealed is renewed or erased', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER personal_data_sealed BEFORE UPDATE ON personal_data
    FOR EACH ROW EXECUTE FUNCTION refuse_rewriting_sealed();

-- A key that a referral listens to.
CREATE TABLE referral_key (
    key VARCHAR COLLATE "C",
    referral_id VARCHAR COLLATE "C",
    PRIMARY KEY (key, referral_id)
);
CREATE INDEX ix_referral_key_referral_id ON referral_key (referral_id);

-- A fact of a referral.
CREATE TABLE referral_fact (
    referral_id VARCHAR COLLATE "C",
    fact_id UUID,
    version INTEGER NOT NULL,
    PRIMARY KEY (referral_id, fact_id)
);

-- A file or batch of facts.
CREATE TABLE ingest_batch (
    id UUID PRIMARY KEY,
    name VARCHAR NOT NULL UNIQUE,
    opened_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ
);
