-- Every table compares a referral's id by code point: an index serves a join only if both sides have the same
-- collation.

-- The state of each referral, a projection of its facts.
CREATE TABLE referral (
    id VARCHAR COLLATE "C" PRIMARY KEY,
    origin_rank INTEGER NOT NULL,
    began_at TIMESTAMPTZ NOT NULL,
    origin_source VARCHAR COLLATE "C" NOT NULL,
    origin_event VARCHAR COLLATE "C" NOT NULL,
    program VARCHAR,
    referrer VARCHAR,
    referrer_code VARCHAR,
    code_key VARCHAR COLLATE "C",
    channel VARCHAR,
    parked VARCHAR,
    merged_into VARCHAR,
    facts_version INTEGER NOT NULL,
    told_at TIMESTAMPTZ,
    judged_version INTEGER NOT NULL,
    judged_at TIMESTAMPTZ,
    version INTEGER,
    round INTEGER NOT NULL,
    status VARCHAR,
    reason VARCHAR,
    deadline TIMESTAMPTZ,
    wake_at TIMESTAMPTZ,
    claimed_at TIMESTAMPTZ,
    order_id VARCHAR,
    stores TEXT[] NOT NULL DEFAULT '{}',
    conversion_at TIMESTAMPTZ,
    net_minor BIGINT,
    currency VARCHAR,
    claim_id UUID,
    claim_version INTEGER NOT NULL,
    settled_rivals JSONB,
    rivals_seen VARCHAR,
    closed_at TIMESTAMPTZ,
    closed_version INTEGER,
    late_facts INTEGER NOT NULL,
    answered_version INTEGER,
    doubts JSONB,
    rewarded_at TIMESTAMPTZ,
    moved_to VARCHAR,
    acts JSONB,
    referrer_link INTEGER NOT NULL DEFAULT 1,
    referee_link INTEGER NOT NULL DEFAULT 1,
    waiting_since TIMESTAMPTZ
);
CREATE INDEX ix_referral_began_at ON referral (began_at, id);
CREATE INDEX ix_referral_program_began_at ON referral (program, began_at);
CREATE INDEX ix_referral_referrer_began_at ON referral (referrer, program, began_at);
CREATE INDEX ix_referral_status ON referral (status);
CREATE INDEX ix_referral_order ON referral (order_id);
CREATE INDEX ix_referral_lagging ON referral (id) WHERE judged_version < facts_version;
CREATE INDEX ix_referral_late_facts ON referral (id) WHERE late_facts > 0;
CREATE INDEX ix_referral_parked ON referral (program) WHERE parked IS NOT NULL;
CREATE INDEX ix_referral_wake_at ON referral (wake_at) WHERE wake_at IS NOT NULL;

-- One status change of a referral.
CREATE TABLE referral_step (
    id BIGSERIAL PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    facts_version INTEGER NOT NULL,
    position BIGINT NOT NULL DEFAULT register_position()
);
CREATE INDEX ix_referral_step_position ON referral_step (position);
CREATE INDEX ix_referral_step_referral_id ON referral_step (referral_id);

-- A referral to be judged again because of something other than a fact.
CREATE TABLE to_judge (
    id BIGSERIAL PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ix_to_judge_referral_id ON to_judge (referral_id);

-- A message to a workflow, deleted once it is delivered. One with a program waits for that program's turn.
CREATE TABLE outbox (
    id BIGSERIAL PRIMARY KEY,
    kind VARCHAR NOT NULL,
    target VARCHAR COLLATE "C" NOT NULL,
    subject_id UUID NOT NULL,
    program VARCHAR COLLATE "C",
    batch_id UUID,
    trace VARCHAR DEFAULT nullif(current_setting('referrals.trace', true), ''),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ix_outbox_ready ON outbox (program, id) WHERE batch_id IS NULL;
CREATE INDEX ix_outbox_batch_id ON outbox (batch_id);
CREATE INDEX ix_outbox_target ON outbox (target);

-- An overdue referral that the sweep woke: how often, and until when it leaves it alone.
CREATE TABLE swept (
    referral_id VARCHAR COLLATE "C" PRIMARY KEY,
    times INTEGER NOT NULL,
    until TIMESTAMPTZ NOT NULL
);
