-- A reward claim as it was assembled.
CREATE TABLE reward_claim (
    id UUID PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    round INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    core_digest VARCHAR NOT NULL,
    body JSONB NOT NULL,
    facts_version INTEGER NOT NULL,
    approved_rewards INTEGER NOT NULL,
    assembled_at TIMESTAMPTZ NOT NULL,
    referrer VARCHAR,
    position BIGINT NOT NULL DEFAULT register_position(),
    sight BIGINT[] NOT NULL DEFAULT '{}'
);
CREATE TRIGGER reward_claim_sight BEFORE INSERT ON reward_claim FOR EACH ROW EXECUTE FUNCTION note_sight();
CREATE INDEX ix_reward_claim_position ON reward_claim (position);
CREATE INDEX ix_reward_claim_referral_id ON reward_claim (referral_id);

-- A signed decision in the hash chain.
CREATE TABLE decision (
    seq BIGINT PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    claim_id UUID NOT NULL,
    digest VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    username VARCHAR NOT NULL,
    roles TEXT[] NOT NULL DEFAULT '{}',
    reason VARCHAR NOT NULL,
    note_commitment VARCHAR NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    previous_hash VARCHAR NOT NULL,
    hash VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    signature VARCHAR NOT NULL,
    details JSONB,
    position BIGINT NOT NULL DEFAULT register_position()
);
CREATE INDEX ix_decision_position ON decision (position);
CREATE INDEX ix_decision_referral_id ON decision (referral_id);
CREATE INDEX ix_decision_claim_id ON decision (claim_id);
CREATE INDEX ix_decision_hash ON decision (hash);

-- The signed end of the chain: one row.
CREATE TABLE decision_head (
    id SERIAL PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    signature VARCHAR NOT NULL,
    CONSTRAINT ck_decision_head_single CHECK (id = 1)
);

-- The outcome of a decision.
CREATE TABLE decision_effect (
    decision_id UUID,
    effect VARCHAR,
    at TIMESTAMPTZ NOT NULL,
    why VARCHAR NOT NULL,
    PRIMARY KEY (decision_id, effect)
);

-- A source's answer to a question about a referral.
CREATE TABLE inquiry (
    id UUID PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    moment VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    answer VARCHAR NOT NULL,
    sentence VARCHAR NOT NULL,
    content_hash VARCHAR,
    position BIGINT NOT NULL DEFAULT register_position(),
    ours JSONB,
    theirs JSONB
);
CREATE INDEX ix_inquiry_referral_id ON inquiry (referral_id);

-- An identity, device or instrument on the blocklist.
CREATE TABLE blocked_mark (
    mark VARCHAR PRIMARY KEY,
    why VARCHAR NOT NULL,
    blocked_at TIMESTAMPTZ NOT NULL,
    blocked_by VARCHAR NOT NULL
);
