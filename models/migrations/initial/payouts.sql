-- Two stores may give one order id each; an order whose store nobody told may be in any of them.
CREATE FUNCTION one_order(stores text[], others text[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT stores = '{}' OR others = '{}' OR stores && others $$;

-- Where a reward bars another: at its stores' places in the line of all places of its program, order and role, or, if
-- its store is not known, at all of them. An id has no space, and "!" is the character after the space.
CREATE TYPE reward_places AS RANGE (subtype = text, collation = "C", multirange_type_name = places_of_reward);
CREATE FUNCTION places_of(program text, order_key text, role text, stores text[]) RETURNS places_of_reward
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT CASE WHEN stores = '{}' THEN places_of_reward(reward_places(line || ' ', line || '!'))
           ELSE (SELECT range_agg(reward_places(line || ' ' || store, line || ' ' || store, '[]'))
                 FROM unnest(stores) AS store) END
    FROM (SELECT program || ' ' || order_key || ' ' || role AS line) AS its
$$;

-- One reward to one beneficiary. At most one is live per program, order and role.
CREATE TABLE leg (
    id UUID PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    claim_id UUID NOT NULL,
    digest VARCHAR NOT NULL,
    program VARCHAR NOT NULL,
    referrer VARCHAR NOT NULL,
    order_key VARCHAR NOT NULL,
    stores TEXT[] NOT NULL DEFAULT '{}',
    role VARCHAR NOT NULL,
    beneficiary VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    rail VARCHAR NOT NULL,
    destination VARCHAR,
    state VARCHAR NOT NULL,
    approved_at TIMESTAMPTZ NOT NULL,
    decisions TEXT[] NOT NULL DEFAULT '{}',
    bound_to VARCHAR,
    former BOOLEAN NOT NULL DEFAULT false,
    CONSTRAINT ck_leg_amount CHECK (amount_minor > 0),
    CONSTRAINT uq_leg_live EXCLUDE USING gist (places_of(program, order_key, role, stores) WITH &&)
        WHERE (state NOT IN ('cancelled', 'clawed_back'))
);
CREATE INDEX ix_leg_live ON leg (program, order_key, role) WHERE state NOT IN ('cancelled', 'clawed_back');
CREATE UNIQUE INDEX uq_leg_standing ON leg (referral_id, role) WHERE state NOT IN ('cancelled', 'clawed_back');
CREATE INDEX ix_leg_referral_id ON leg (referral_id);
CREATE INDEX ix_leg_beneficiary_approved_at ON leg (beneficiary, approved_at);
CREATE INDEX ix_leg_referrer_approved_at ON leg (program, referrer, approved_at);
CREATE INDEX ix_leg_approved_at ON leg (approved_at, beneficiary);
CREATE INDEX ix_leg_tax_hold ON leg (beneficiary) WHERE state = 'tax_hold';
CREATE INDEX ix_leg_waiting_method ON leg (beneficiary, rail) WHERE state = 'waiting_method';
-- The due legs, which a cycle gathers payee by payee.
CREATE INDEX ix_leg_due ON leg (program, beneficiary, id) WHERE state IN ('reserved', 'tax_hold', 'waiting_method');

-- The total of approved rewards not cancelled or recovered, of a whole program (empty referrer) and of each referrer.
CREATE TABLE held_total (
    program VARCHAR,
    referrer VARCHAR,
    rewards BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (program, referrer)
);

-- The totals follow every change of a leg, so that no judgement has to sum up a program's history. Nobody else changes
-- them: the function has the rights of its owner.
CREATE FUNCTION keep_held_totals() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    before int := 0;
    after int := 0;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state NOT IN ('cancelled', 'clawed_back') THEN before := 1; END IF;
    IF TG_OP <> 'DELETE' AND NEW.state NOT IN ('cancelled', 'clawed_back') THEN after := 1; END IF;
    IF TG_OP = 'UPDATE' AND before = after AND OLD.amount_minor = NEW.amount_minor THEN RETURN NULL; END IF;
    -- Always update the program's total first, so that two transactions cannot deadlock.
    IF before = 1 THEN
        UPDATE held_total SET rewards = rewards - 1, amount_minor = amount_minor - OLD.amount_minor
        WHERE program = OLD.program AND referrer = '';
        UPDATE held_total SET rewards = rewards - 1, amount_minor = amount_minor - OLD.amount_minor
        WHERE program = OLD.program AND referrer = OLD.referrer AND OLD.role = 'referrer' AND referrer <> '';
    END IF;
    IF after = 1 THEN
        INSERT INTO held_total (program, referrer, rewards, amount_minor)
        SELECT NEW.program, whose, 1, NEW.amount_minor FROM (
            SELECT '' AS whose UNION SELECT NEW.referrer WHERE NEW.role = 'referrer'
        ) AS both_totals ORDER BY whose COLLATE "C"
        ON CONFLICT (program, referrer) DO UPDATE
        SET rewards = held_total.rewards + 1, amount_minor = held_total.amount_minor + excluded.amount_minor;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER leg_totals AFTER INSERT OR UPDATE OF state, amount_minor OR DELETE ON leg
    FOR EACH ROW EXECUTE FUNCTION keep_held_totals();

-- One call to a provider, saved before the first attempt. It belongs to a referral or to a cycle.
CREATE TABLE payout (
    id UUID PRIMARY KEY,
    referral_id VARCHAR COLLATE "C",
    payee VARCHAR NOT NULL,
    rail VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    body JSONB NOT NULL,
    body_hash VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    provider_key VARCHAR NOT NULL UNIQUE,
    first_sent_at TIMESTAMPTZ,
    provider_reference VARCHAR,
    state VARCHAR NOT NULL,
    why VARCHAR,
    updated_at TIMESTAMPTZ NOT NULL,
    key_used_at TIMESTAMPTZ,
    missed_at TIMESTAMPTZ,
    settled_at TIMESTAMPTZ,
    due_at TIMESTAMPTZ,
    cycle_id UUID,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    returns UUID,
    dropped BOOLEAN NOT NULL DEFAULT false,
    CONSTRAINT ck_payout_amount CHECK (amount_minor >= 0),
    CONSTRAINT ck_payout_of_one CHECK ((referral_id IS NULL) <> (cycle_id IS NULL)),
    CONSTRAINT ck_payout_returns_at_once CHECK (returns IS NULL OR cycle_id IS NULL)
);
CREATE INDEX ix_payout_returns ON payout (returns) WHERE returns IS NOT NULL;
CREATE INDEX ix_payout_created_at ON payout (created_at, id);
CREATE INDEX ix_payout_referral_id ON payout (referral_id);
CREATE INDEX ix_payout_payee ON payout (payee, rail);
-- Lists: each filter that leaves many has its payouts by age, and amounts are compared within a currency.
CREATE INDEX ix_payout_state ON payout (state, created_at, id);
CREATE INDEX ix_payout_rail ON payout (rail, created_at, id);
CREATE INDEX ix_payout_program ON payout ((body ->> 'program'), created_at, id);
CREATE INDEX ix_payout_amount ON payout (currency, amount_minor, id);
CREATE INDEX ix_payout_provider_reference ON payout (provider_reference);
-- Payouts that count towards a payee's year, and payouts that may still count.
CREATE INDEX ix_payout_settled ON payout (payee, settled_at) WHERE state = 'settled';
CREATE INDEX ix_payout_under_way ON payout (payee) WHERE state NOT IN ('settled', 'cancelled');
CREATE INDEX ix_payout_cycle_id ON payout (cycle_id, id);
-- The payouts of a cycle that are not at rest. This finds the end of a cycle without reading all its payouts.
CREATE INDEX ix_payout_cycle_moving ON payout (cycle_id)
    WHERE cycle_id IS NOT NULL AND state NOT IN ('settled', 'returned', 'refused', 'manual_review', 'cancelled');

-- Which legs a payout pays. A leg has at most one live payout.
CREATE TABLE payout_leg (
    payout_id UUID,
    leg_id UUID,
    live BOOLEAN NOT NULL,
    PRIMARY KEY (payout_id, leg_id)
);
CREATE UNIQUE INDEX uq_payout_leg_live ON payout_leg (leg_id) WHERE live;
CREATE INDEX ix_payout_leg_leg_id ON payout_leg (leg_id);

-- A referral's payouts. A payout that a leg has left no longer counts if it still pays other legs.
CREATE FUNCTION payouts_of(its_referral text)
RETURNS TABLE (payout_id uuid, leg_id uuid, role text, live boolean) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (pl.payout_id, l.role) pl.payout_id, l.id, CAST(l.role AS text), pl.live
    FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout p ON p.id = pl.payout_id
    WHERE l.referral_id = its_referral AND (
        pl.live OR p.referral_id = its_referral
        OR NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = p.id AND payout_leg.live OFFSET 0))
    ORDER BY pl.payout_id, l.role, pl.live DESC, l.approved_at DESC
$$;

-- A deduction from a payout: an offset against a clawback, or withheld tax.
CREATE TABLE payout_deduction (
    payout_id UUID,
    kind VARCHAR,
    source VARCHAR,
    amount_minor BIGINT NOT NULL,
    live BOOLEAN NOT NULL,
    PRIMARY KEY (payout_id, kind, source),
    CONSTRAINT ck_payout_deduction_amount CHECK (amount_minor > 0)
);
CREATE INDEX ix_payout_deduction_source ON payout_deduction (source);

-- The history of a payout.
CREATE TABLE payout_step (
    id BIGSERIAL PRIMARY KEY,
    payout_id UUID NOT NULL,
    generation INTEGER NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    act VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    why VARCHAR,
    reference VARCHAR,
    position BIGINT NOT NULL DEFAULT register_position(),
    sight BIGINT[] NOT NULL DEFAULT '{}'
);
CREATE INDEX ix_payout_step_position ON payout_step (position);
CREATE INDEX ix_payout_step_act ON payout_step (act, state, at, id);
CREATE INDEX ix_payout_step_payout_id ON payout_step (payout_id, id);

-- Every change of a payout's state or generation records a step, whatever code makes it.
CREATE FUNCTION note_payout_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payout_step (payout_id, generation, at, act, state, why, reference)
    VALUES (NEW.id, NEW.generation, NEW.updated_at, CASE TG_OP WHEN 'INSERT' THEN 'planned' ELSE 'moved' END,
            NEW.state, NEW.why, NEW.provider_reference);
    RETURN NULL;
END $$;
CREATE TRIGGER payout_history AFTER INSERT ON payout FOR EACH ROW EXECUTE FUNCTION note_payout_step();
CREATE TRIGGER payout_history_of_moves AFTER UPDATE ON payout FOR EACH ROW
    WHEN (NEW.state <> OLD.state OR NEW.generation <> OLD.generation) EXECUTE FUNCTION note_payout_step();

-- An audit has to know which facts and decisions a payment could see.
CREATE TRIGGER payout_step_sight BEFORE INSERT ON payout_step FOR EACH ROW
    WHEN (NEW.act IN ('sent', 'adopted')) EXECUTE FUNCTION note_sight();

-- A halted rail, which refused our credentials.
CREATE TABLE rail_halt (
    rail VARCHAR PRIMARY KEY,
    halted_at TIMESTAMPTZ NOT NULL,
    probed_at TIMESTAMPTZ NOT NULL,
    why VARCHAR NOT NULL
);
