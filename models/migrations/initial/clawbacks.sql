-- A paid leg that is no longer justified. A person decides whether and how to recover it.
CREATE TABLE clawback_case (
    leg_id UUID,
    fact_id UUID,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    why VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    id UUID NOT NULL,
    proposed_minor BIGINT,
    settled_at TIMESTAMPTZ,
    exchange_order VARCHAR,
    exchange_store VARCHAR,
    exchange_minor BIGINT,
    exchange_currency VARCHAR,
    PRIMARY KEY (leg_id, fact_id)
);
CREATE UNIQUE INDEX uq_clawback_case_id ON clawback_case (id);
CREATE INDEX ix_clawback_case_opened_at ON clawback_case (opened_at, id);
CREATE INDEX ix_clawback_case_referral_id ON clawback_case (referral_id);

-- One recovery that a person decided on.
CREATE TABLE clawback (
    id UUID PRIMARY KEY,
    case_id UUID NOT NULL,
    leg_id UUID NOT NULL,
    payout_id UUID NOT NULL,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    payee VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    recovered_minor BIGINT NOT NULL,
    released_minor BIGINT NOT NULL DEFAULT 0,
    body JSONB NOT NULL,
    body_hash VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    provider_key VARCHAR NOT NULL UNIQUE,
    first_sent_at TIMESTAMPTZ,
    missed_at TIMESTAMPTZ,
    provider_reference VARCHAR,
    state VARCHAR NOT NULL,
    why VARCHAR,
    decision_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT ck_clawback_amount CHECK (amount_minor > 0),
    CONSTRAINT ck_clawback_recovered CHECK (recovered_minor BETWEEN 0 AND amount_minor - released_minor),
    CONSTRAINT ck_clawback_released CHECK (released_minor >= 0)
);
CREATE INDEX ix_clawback_case_id ON clawback (case_id);
CREATE INDEX ix_clawback_leg_id ON clawback (leg_id);
CREATE INDEX ix_clawback_payee ON clawback (payee, state, currency);
CREATE INDEX ix_clawback_referral_id ON clawback (referral_id);
CREATE INDEX ix_clawback_state ON clawback (state);

-- The amount that a clawback takes. Once it has failed in part or in full, only the recovered amount counts. What was
-- released of an offset is taken by another clawback.
CREATE FUNCTION taken_by(b clawback) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b.state IN ('unrecoverable', 'partly_reversed') THEN b.recovered_minor
                ELSE b.amount_minor - b.released_minor END
$$;

-- Of an offset: what payouts that are not settled keep of it, and what is open, neither recovered nor kept nor released.
CREATE FUNCTION kept_of(b clawback) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CAST(coalesce(sum(d.amount_minor), 0) AS bigint) FROM payout_deduction d JOIN payout p ON p.id = d.payout_id
    WHERE d.source = CAST(b.id AS text) AND d.kind = 'offset' AND d.live AND p.state <> 'settled'
$$;
CREATE FUNCTION waiting_of(b clawback) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN b.kind = 'offset' AND b.state = 'offsetting'
                THEN b.amount_minor - b.recovered_minor - b.released_minor - kept_of(b) ELSE 0 END
$$;

-- Of a leg: what went back to its payee, and what went back or is to. Both are needed: what is on its way back can't be
-- returned again, but may only be taken again once it arrived.
CREATE FUNCTION returned_of(leg uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CAST(coalesce(sum(p.amount_minor), 0) AS bigint) FROM clawback_case c JOIN payout p ON p.returns = c.id
    WHERE c.leg_id = leg AND p.state = 'settled' AND NOT p.dropped
$$;
CREATE FUNCTION returning_of(leg uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CAST(coalesce(sum(p.amount_minor), 0) AS bigint) FROM clawback_case c JOIN payout p ON p.returns = c.id
    WHERE c.leg_id = leg AND NOT p.dropped
$$;

-- Clawbacks of a leg, less what went back, total at most what was paid, and reversals of a payout at most what was sent. The function locks
-- the leg's row, so that the later of two concurrent clawbacks sees what the earlier one took.
CREATE FUNCTION refuse_too_much() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid bigint;
    sent bigint;
BEGIN
    SELECT CASE WHEN state IN ('paid', 'clawed_back') THEN amount_minor ELSE 0 END INTO paid
    FROM leg WHERE id = NEW.leg_id FOR UPDATE;
    SELECT amount_minor INTO sent FROM payout WHERE id = NEW.payout_id;
    IF TG_OP = 'UPDATE' AND taken_by(NEW) <= taken_by(OLD) THEN
        RETURN NEW;
    END IF;
    IF taken_by(NEW) + coalesce(
        (SELECT sum(taken_by(b)) FROM clawback b WHERE b.leg_id = NEW.leg_id AND b.id <> NEW.id), 0
    ) - returned_of(NEW.leg_id) > coalesce(paid, 0) THEN
        RAISE EXCEPTION 'clawback % takes more of leg % than was paid', NEW.id, NEW.leg_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind = 'reverse' AND taken_by(NEW) + coalesce(
        (SELECT sum(taken_by(b)) FROM clawback b
         WHERE b.payout_id = NEW.payout_id AND b.kind = 'reverse' AND b.id <> NEW.id), 0
    ) > coalesce(sent, 0) THEN
        RAISE EXCEPTION 'clawback % takes more of payout % than was sent', NEW.id, NEW.payout_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER clawback_within_paid BEFORE INSERT OR UPDATE ON clawback
    FOR EACH ROW EXECUTE FUNCTION refuse_too_much();

-- A return sends back at most what was recovered in its case, less what other returns send back.
CREATE FUNCTION refuse_too_much_back() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    its_leg uuid;
    recovered bigint;
    others bigint;
BEGIN
    SELECT leg_id INTO its_leg FROM clawback_case WHERE id = NEW.returns;
    PERFORM 1 FROM leg WHERE id = its_leg FOR UPDATE;
    SELECT coalesce(sum(recovered_minor), 0) INTO recovered FROM clawback WHERE case_id = NEW.returns;
    SELECT coalesce(sum(amount_minor), 0) INTO others FROM payout
    WHERE returns = NEW.returns AND NOT dropped AND id <> NEW.id;
    IF NEW.amount_minor + others > recovered THEN
        RAISE EXCEPTION 'payout % returns more than was taken in case %', NEW.id, NEW.returns
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payout_returns_within_taken BEFORE INSERT OR UPDATE OF returns, amount_minor, dropped ON payout
    FOR EACH ROW WHEN (NEW.returns IS NOT NULL AND NOT NEW.dropped) EXECUTE FUNCTION refuse_too_much_back();

-- A leg is clawed back once all of it was recovered and nothing of it goes back. What was written off or is still owed
-- was not recovered: its order is not free for another reward, and it counts in caps and budget.
CREATE FUNCTION refuse_unrecovered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.amount_minor > coalesce((SELECT sum(recovered_minor) FROM clawback WHERE leg_id = NEW.id), 0)
                          - returning_of(NEW.id) THEN
        RAISE EXCEPTION 'leg % was not recovered in full', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER leg_recovered BEFORE UPDATE OF state ON leg FOR EACH ROW
    WHEN (NEW.state = 'clawed_back' AND OLD.state <> 'clawed_back') EXECUTE FUNCTION refuse_unrecovered();

-- What payouts keep of an offset is not released: a payout that is under way was lowered by it.
CREATE FUNCTION refuse_releasing_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.released_minor < OLD.released_minor OR NEW.amount_minor - NEW.released_minor < (
        SELECT coalesce(sum(d.amount_minor), 0) FROM payout_deduction d
        WHERE d.source = CAST(NEW.id AS text) AND d.kind = 'offset' AND d.live
    ) THEN
        RAISE EXCEPTION 'payouts keep what is released of clawback %', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER clawback_keeps_its_payouts BEFORE UPDATE OF released_minor ON clawback FOR EACH ROW
    WHEN (NEW.released_minor <> OLD.released_minor) EXECUTE FUNCTION refuse_releasing_kept();

-- The decided columns of a clawback never change.
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.case_id, NEW.leg_id, NEW.payout_id, NEW.payee, NEW.kind, NEW.amount_minor, NEW.currency,
        NEW.decision_id) IS DISTINCT FROM
       (OLD.id, OLD.case_id, OLD.leg_id, OLD.payout_id, OLD.payee, OLD.kind, OLD.amount_minor, OLD.currency,
        OLD.decision_id) THEN
        RAISE EXCEPTION 'what was decided of clawback % is not rewritten', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER clawback_as_decided BEFORE UPDATE ON clawback FOR EACH ROW EXECUTE FUNCTION refuse_rewriting();
