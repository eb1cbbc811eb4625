-- What each referral adds to a figure on a day of its program's calendar.
CREATE TABLE measured_contribution (
    id BIGSERIAL PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL,
    program VARCHAR NOT NULL,
    figure VARCHAR NOT NULL,
    part VARCHAR COLLATE "C" NOT NULL,
    currency VARCHAR NOT NULL,
    day DATE NOT NULL,
    n BIGINT NOT NULL,
    amount BIGINT NOT NULL
);
CREATE INDEX ix_measured_contribution_referral_id ON measured_contribution (referral_id);
CREATE INDEX ix_measured_contribution_figure ON measured_contribution (program, figure, part, day);

-- The daily sums of these.
CREATE TABLE measured_total (
    program VARCHAR,
    day DATE,
    figure VARCHAR,
    part VARCHAR COLLATE "C",
    currency VARCHAR,
    n BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (program, day, figure, part, currency)
);

-- The referrals whose contributions may have changed, once for each change. It has no unique key, so that no
-- transaction waits for another one that changes the same referral.
CREATE TABLE to_measure (
    id BIGSERIAL PRIMARY KEY,
    referral_id VARCHAR COLLATE "C" NOT NULL
);

CREATE FUNCTION note_to_measure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO to_measure (referral_id) VALUES (NEW.referral_id);
    RETURN NULL;
END $$;
CREATE FUNCTION note_referral_to_measure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO to_measure (referral_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
-- A return of what was taken back belongs to the referral, and has no leg that changes.
CREATE FUNCTION note_payout_to_measure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO to_measure (referral_id)
    SELECT NEW.referral_id WHERE NEW.referral_id IS NOT NULL
    UNION
    SELECT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER referral_measured AFTER INSERT ON referral FOR EACH ROW EXECUTE FUNCTION note_referral_to_measure();
CREATE TRIGGER referral_measured_anew AFTER UPDATE ON referral FOR EACH ROW
    WHEN ((OLD.judged_version, OLD.judged_at, OLD.status, OLD.claim_id, OLD.rewarded_at, OLD.facts_version)
          IS DISTINCT FROM
          (NEW.judged_version, NEW.judged_at, NEW.status, NEW.claim_id, NEW.rewarded_at, NEW.facts_version))
    EXECUTE FUNCTION note_referral_to_measure();
CREATE TRIGGER leg_measured AFTER INSERT OR UPDATE OF state ON leg FOR EACH ROW EXECUTE FUNCTION note_to_measure();
CREATE TRIGGER clawback_measured AFTER UPDATE OF recovered_minor ON clawback FOR EACH ROW
    WHEN (OLD.recovered_minor IS DISTINCT FROM NEW.recovered_minor) EXECUTE FUNCTION note_to_measure();
CREATE TRIGGER payout_measured AFTER UPDATE OF state ON payout FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND 'settled' IN (OLD.state, NEW.state))
    EXECUTE FUNCTION note_payout_to_measure();

-- The highest position of any row that causes a measurement event, of which each has an index on it.
CREATE FUNCTION highest_position() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT greatest(
        (SELECT max(position) FROM reward_claim), (SELECT max(position) FROM decision),
        (SELECT max(position) FROM referral_step), (SELECT max(position) FROM payout_step),
        (SELECT max(position) FROM ledger_transaction),
        (SELECT max(position) FROM fact WHERE type = 'satisfaction.rated'), 0)
$$;

-- After a dump was restored on another server, whose transactions have lower numbers. The newest rows of a dump may be
-- facts that nothing has judged yet. This reads all of them, once for each upgrade: no index is kept for it.
CREATE FUNCTION carry_on_positions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    highest bigint := greatest(highest_position(), (SELECT max(position) FROM fact),
                               (SELECT max(position) FROM inquiry), (SELECT max(barred_position) FROM app_user));
    ahead bigint := highest - register_position() + 1;
    moved bigint := register_position() - CAST(CAST(pg_current_xact_id() AS text) AS bigint);
BEGIN
    IF ahead <= 0 THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE OR REPLACE FUNCTION register_position() RETURNS bigint LANGUAGE sql VOLATILE AS '
        '$f$ SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint) + %s $f$', moved + ahead);
    EXECUTE format('CREATE OR REPLACE FUNCTION register_sight() RETURNS bigint[] LANGUAGE sql STABLE AS '
        '$f$ SELECT CAST(CAST(pg_snapshot_xmax(now) AS text) AS bigint) + %1$s '
        '|| ARRAY(SELECT CAST(CAST(xip AS text) AS bigint) + %1$s FROM pg_snapshot_xip(now) AS xip) '
        'FROM pg_current_snapshot() AS now $f$', moved + ahead);
    EXECUTE format('CREATE OR REPLACE FUNCTION register_horizon() RETURNS bigint LANGUAGE sql STABLE AS '
        '$f$ SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) + %s $f$', moved + ahead);
END $$;
