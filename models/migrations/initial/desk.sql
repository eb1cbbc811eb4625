-- One thing that waits for a person.
CREATE TABLE queue_entry (
    referral_id VARCHAR COLLATE "C",
    exception VARCHAR COLLATE "C",
    subject VARCHAR COLLATE "C",
    program VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    about VARCHAR,
    referrer VARCHAR COLLATE "C",
    customer VARCHAR COLLATE "C",
    order_id VARCHAR COLLATE "C",
    recommendation VARCHAR,
    flags TEXT[] NOT NULL DEFAULT '{}',
    routes TEXT[] NOT NULL DEFAULT '{}',
    amount_minor BIGINT NOT NULL,
    currency VARCHAR,
    since TIMESTAMPTZ NOT NULL,
    remind_at TIMESTAMPTZ,
    escalate_at TIMESTAMPTZ,
    PRIMARY KEY (referral_id, exception, subject)
);

-- Each search of the queue reads an index in list order. Every such index ends in the primary key.
CREATE INDEX ix_queue_entry_since ON queue_entry (since, referral_id, exception, subject);
CREATE INDEX ix_queue_entry_program ON queue_entry (program, since, referral_id, exception, subject);
CREATE INDEX ix_queue_entry_recommendation ON queue_entry (recommendation, since, referral_id, exception, subject);
CREATE INDEX ix_queue_entry_exception ON queue_entry (exception, since, referral_id, subject);
CREATE INDEX ix_queue_entry_unflagged ON queue_entry (since, referral_id, exception, subject) WHERE flags = '{}';
CREATE INDEX ix_queue_entry_amount ON queue_entry (currency, amount_minor, referral_id, exception, subject)
    WHERE amount_minor > 0;
CREATE INDEX ix_queue_entry_remind_at ON queue_entry (remind_at, referral_id, exception, subject)
    WHERE remind_at IS NOT NULL;
CREATE INDEX ix_queue_entry_undated ON queue_entry (referral_id)
    WHERE exception = 'approval' AND status = 'awaiting_approval' AND remind_at IS NULL;
CREATE INDEX ix_queue_entry_referrer ON queue_entry (referrer);
CREATE INDEX ix_queue_entry_customer ON queue_entry (customer);
CREATE INDEX ix_queue_entry_order_id ON queue_entry (order_id);

-- An array column cannot be sorted by, so each of its possible values has an index with its entries in order.
DO $$
DECLARE
    value text;
BEGIN
    FOREACH value IN ARRAY ARRAY[
        'evidence_conflict', 'self_referral', 'duplicate_claim', 'disputed_attribution', 'attribution_changed',
        'cap_limited', 'budget_exhausted', 'consent_unclear', 'unresolved_customer_issue',
        'public_advocacy_not_permitted', 'dispute_open', 'currency_mismatch', 'check_could_not_run',
        'partner_exception', 'fraud_suspected', 'partial_refund', 'manual_request', 'late_fact',
        'unknown_referrer', 'linked_by_hand', 'adjusted'
    ] LOOP
        EXECUTE format(
            'CREATE INDEX ix_queue_entry_flag_%1$s ON queue_entry (since, referral_id, exception, subject)'
            ' WHERE flags @> ''{%1$s}''', value);
    END LOOP;
    FOREACH value IN ARRAY ARRAY['finance', 'program_owner', 'operations'] LOOP
        EXECUTE format(
            'CREATE INDEX ix_queue_entry_route_%1$s ON queue_entry (since, referral_id, exception, subject)'
            ' WHERE routes @> ''{%1$s}''', value);
    END LOOP;
END $$;

-- Somebody said that nothing is to be done about an exception for now.
CREATE TABLE set_aside (
    id UUID PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    exception VARCHAR COLLATE "C" NOT NULL,
    subject VARCHAR COLLATE "C" NOT NULL,
    seen INTEGER NOT NULL,
    username VARCHAR NOT NULL REFERENCES app_user,
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_set_aside_entry ON set_aside (referral_id, exception, subject);

-- A queue search that a user saved under a name.
CREATE TABLE saved_view (
    username VARCHAR REFERENCES app_user,
    name VARCHAR,
    query VARCHAR NOT NULL,
    PRIMARY KEY (username, name)
);

-- The audit log: who did what, when.
CREATE TABLE audit_event (
    id BIGSERIAL PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    actor VARCHAR NOT NULL,
    act VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    details JSONB NOT NULL
);
CREATE INDEX ix_audit_event_actor ON audit_event (actor, act, at, id);
CREATE INDEX ix_audit_event_act ON audit_event (act, at, id);
CREATE INDEX ix_audit_event_subject ON audit_event (subject, id);
