-- Append-only tables. Application code follows this rule too; these triggers enforce it for every other client.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

DO $$
DECLARE
    append_only text;
BEGIN
    FOREACH append_only IN ARRAY ARRAY[
        'program_version',
        'fact_teller', 'inquiry',
        'source_event', 'source_name',
        'referral_step',
        'reward_claim',
        'decision', 'decision_effect',
        'payout_step',
        'ledger_transaction', 'posting',
        'audit_event', 'set_aside',
        'register_restore'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER %1$s_append_only BEFORE UPDATE OR DELETE ON %1$s'
            ' FOR EACH ROW EXECUTE FUNCTION refuse_change()', append_only);
        EXECUTE format(
            'CREATE TRIGGER %1$s_no_truncate BEFORE TRUNCATE ON %1$s'
            ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', append_only);
    END LOOP;
END $$;

-- Of facts nothing changes but the marks of the erased, at the end of their retention (`persons.sql`).
CREATE TRIGGER fact_kept BEFORE DELETE ON fact FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_no_truncate BEFORE TRUNCATE ON fact FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_key_kept BEFORE DELETE ON fact_key FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fact_key_no_truncate BEFORE TRUNCATE ON fact_key FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erased_mark_kept BEFORE DELETE ON erased_mark FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erased_mark_no_truncate BEFORE TRUNCATE ON erased_mark
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A clawback may be updated but never deleted.
CREATE TRIGGER clawback_kept BEFORE DELETE ON clawback FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER clawback_no_truncate BEFORE TRUNCATE ON clawback FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a source sent is sealed anew and erased, and its row stays.
CREATE TRIGGER source_payload_kept BEFORE DELETE ON source_payload FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER source_payload_no_truncate BEFORE TRUNCATE ON source_payload
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER person_erasure_kept BEFORE DELETE ON person_erasure FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER person_erasure_no_truncate BEFORE TRUNCATE ON person_erasure
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A payment that was found stays on record; only decisions on it are added.
CREATE TRIGGER forgotten_payment_kept BEFORE DELETE ON forgotten_payment
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER forgotten_payment_no_truncate BEFORE TRUNCATE ON forgotten_payment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER forgotten_reversal_kept BEFORE DELETE ON forgotten_reversal
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER forgotten_reversal_no_truncate BEFORE TRUNCATE ON forgotten_reversal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
