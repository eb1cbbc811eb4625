-- The place of a row among all that was ever committed: the number of its transaction. A reader that has seen every
-- transaction before `register_horizon()` will find nothing new before it, however late a transaction commits.
--
-- Numbers of transactions belong to one server. A dump that is restored on another one goes on from the highest that it
-- holds: `carry_on_positions()` moves these functions there. `referrals db upgrade` calls it.
CREATE FUNCTION register_position() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint) + 0 $$;
-- What a transaction sees by now: everything before the first number, but for the transactions that the others name. A
-- transaction has its number since its first write, and may wait long for a lock: their order is not that of commits.
CREATE FUNCTION register_sight() RETURNS bigint[] LANGUAGE sql STABLE AS
    $$ SELECT CAST(CAST(pg_snapshot_xmax(now) AS text) AS bigint) + 0
           || ARRAY(SELECT CAST(CAST(xip AS text) AS bigint) + 0 FROM pg_snapshot_xip(now) AS xip)
       FROM pg_current_snapshot() AS now $$;
CREATE FUNCTION register_horizon() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) + 0 $$;
-- What others record meanwhile is no ground for a claim or a payment. An audit has to know what it could see: what the
-- statement saw that read its grounds, not what was committed in the moments since.
CREATE FUNCTION note_sight() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sight := coalesce(CAST(nullif(current_setting('referrals.sight', true), '') AS bigint[]), register_sight());
    RETURN NEW;
END $$;
