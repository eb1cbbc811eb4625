-- One business event in the books.
CREATE TABLE ledger_transaction (
    id UUID PRIMARY KEY,
    key VARCHAR NOT NULL UNIQUE,
    description VARCHAR NOT NULL,
    posted_at TIMESTAMPTZ NOT NULL,
    program VARCHAR NOT NULL,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    position BIGINT NOT NULL DEFAULT register_position()
);
CREATE INDEX ix_ledger_transaction_position ON ledger_transaction (position);
CREATE INDEX ix_ledger_transaction_kind ON ledger_transaction (split_part(key, ':', 1), posted_at, id);
CREATE INDEX ix_ledger_transaction_referral_id ON ledger_transaction (referral_id);

-- One line of a transaction. Debits are positive, credits negative.
CREATE TABLE posting (
    id BIGSERIAL PRIMARY KEY,
    transaction_id UUID NOT NULL REFERENCES ledger_transaction,
    account VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    CONSTRAINT ck_posting_account
        CHECK (account ~ '^(expense|loss|payable|credit|withholding|recoverable|clearing):.'),
    CONSTRAINT ck_posting_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ck_posting_not_zero CHECK (amount_minor <> 0)
);
CREATE INDEX ix_posting_account ON posting (account, currency);
CREATE INDEX ix_posting_transaction_id ON posting (transaction_id);

-- The lines of a transaction sum to zero in each currency. This is checked at commit, when all lines are inserted.
CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    subject uuid;
BEGIN
    IF TG_TABLE_NAME = 'posting' THEN subject := NEW.transaction_id; ELSE subject := NEW.id; END IF;
    IF NOT EXISTS (SELECT 1 FROM posting WHERE transaction_id = subject) THEN
        RAISE EXCEPTION 'ledger transaction % has no postings', subject
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT 1 FROM posting WHERE transaction_id = subject GROUP BY currency HAVING sum(amount_minor) <> 0
    ) THEN
        RAISE EXCEPTION 'ledger transaction % does not balance', subject USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_transaction_balances AFTER INSERT ON ledger_transaction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced();
CREATE CONSTRAINT TRIGGER posting_balances AFTER INSERT ON posting DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced();
