-- What the examination of each paid reward came to, kept for the reports. An audit recomputes it and does not read it.
CREATE TABLE examined_reward (
    leg_id UUID PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    program VARCHAR NOT NULL,
    referrer VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    day DATE NOT NULL,
    failing TEXT[] NOT NULL DEFAULT '{}',
    by_decision BOOLEAN NOT NULL,
    marks_removed BOOLEAN NOT NULL,
    findings JSONB NOT NULL
);
CREATE INDEX ix_examined_reward_referral_id ON examined_reward (referral_id);
CREATE INDEX ix_examined_reward_referrer ON examined_reward (program, referrer, day);
CREATE INDEX ix_examined_reward_failing ON examined_reward (program, day) WHERE failing <> '{}';

-- The daily sums of these.
CREATE TABLE examined_total (
    program VARCHAR,
    day DATE,
    paid BIGINT NOT NULL,
    accurate BIGINT NOT NULL,
    by_decision BIGINT NOT NULL,
    marks_removed BIGINT NOT NULL,
    PRIMARY KEY (program, day)
);

-- The referrals of which a reward was paid, or came back, once for each change; without a unique key, as `to_measure`.
CREATE TABLE to_examine (
    id BIGSERIAL PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL
);

CREATE FUNCTION note_payout_to_examine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO to_examine (referral_id)
    SELECT DISTINCT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER payout_examined AFTER UPDATE OF state ON payout FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND 'settled' IN (OLD.state, NEW.state))
    EXECUTE FUNCTION note_payout_to_examine();
