-- The place of a row among all that was ever committed: the number of its transaction. A reader that has seen every
-- transaction before `register_horizon()` will find nothing new before it, however late a transaction commits.
--
-- Numbers of transactions belong to one server. A dump that is restored on another one goes on from the highest that it
-- holds: `carry_on_positions()` moves both functions there. `referrals db upgrade` calls it.
CREATE FUNCTION register_position() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint) + 0 $$;
CREATE FUNCTION register_horizon() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) + 0 $$;
