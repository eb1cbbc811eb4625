-- One message to one recipient.
CREATE TABLE notice (
    id UUID PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    program VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    audience VARCHAR NOT NULL,
    recipient VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    occasion VARCHAR NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL,
    state VARCHAR NOT NULL,
    why VARCHAR,
    attempts INTEGER NOT NULL,
    due_at TIMESTAMPTZ,
    settled_at TIMESTAMPTZ
);
CREATE INDEX ix_notice_due_at ON notice (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ix_notice_referral_id ON notice (referral_id);
CREATE INDEX ix_notice_settled_at ON notice (settled_at, state);

-- An outside endpoint that receives events.
CREATE TABLE webhook_endpoint (
    name VARCHAR PRIMARY KEY,
    events TEXT[] NOT NULL DEFAULT '{}',
    told_up_to VARCHAR,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
