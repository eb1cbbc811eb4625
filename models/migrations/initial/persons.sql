-- A request to erase a person, by ids and keyed hashes.
CREATE TABLE person_erasure (
    id UUID PRIMARY KEY,
    names TEXT[] NOT NULL DEFAULT '{}',
    asked_by VARCHAR NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    tried_at TIMESTAMPTZ NOT NULL,
    waits TEXT[] NOT NULL DEFAULT '{}',
    erased_at TIMESTAMPTZ,
    texts_blanked BIGINT NOT NULL DEFAULT 0,
    payloads_blanked BIGINT NOT NULL DEFAULT 0,
    restored_at TIMESTAMPTZ,
    kept_at TIMESTAMPTZ,
    marks_looked_at TIMESTAMPTZ,
    marks_due_at TIMESTAMPTZ,
    marks_stay VARCHAR,
    marks_removed_at TIMESTAMPTZ,
    facts_without_marks BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX ix_person_erasure_tried_at ON person_erasure (tried_at, id) WHERE erased_at IS NULL;
CREATE INDEX ix_person_erasure_kept_at ON person_erasure (asked_at, id)
    WHERE kept_at IS NULL OR kept_at < erased_at;
CREATE INDEX ix_person_erasure_marks_looked_at ON person_erasure (marks_looked_at NULLS FIRST, id)
    WHERE erased_at IS NOT NULL AND marks_removed_at IS NULL;

-- That a fact's text was erased, and that its marks went: how they stood is sealed by a salted hash.
CREATE TABLE erased_mark (
    fact_id UUID PRIMARY KEY,
    erasure UUID NOT NULL REFERENCES person_erasure (id),
    seal VARCHAR NOT NULL,
    removed_at TIMESTAMPTZ,
    paid_days INTEGER,
    unpaid_days INTEGER,
    CONSTRAINT ck_erased_mark_removed
        CHECK ((removed_at IS NULL) = (paid_days IS NULL) AND (removed_at IS NULL) = (unpaid_days IS NULL)),
    CONSTRAINT ck_erased_mark_days CHECK (paid_days >= 30 AND unpaid_days >= 30)
);

-- It is written once, and changed once: when the marks go.
CREATE FUNCTION refuse_second_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL
       OR NEW.fact_id <> OLD.fact_id OR NEW.erasure <> OLD.erasure THEN
        RAISE EXCEPTION 'erased_mark is append-only: the marks of a fact go once' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER erased_mark_once BEFORE UPDATE ON erased_mark FOR EACH ROW EXECUTE FUNCTION refuse_second_removal();

-- What is left of a keyed mark: its kind and a random number. A customer id stays.
CREATE FUNCTION is_left_of(new_mark text, old_mark text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT new_mark = old_mark OR (
        old_mark ~ '^(email|alias|phone|local_phone|fingerprint|device|ip|agent|address|surname):[0-9a-f]{32}$'
        AND new_mark ~ '^[a-z_]+:erased-[0-9a-f]{32}$' AND split_part(new_mark, ':', 1) = split_part(old_mark, ':', 1))
$$;

-- Of a fact only its marks change: once it is erased, and once it is on record that they go.
CREATE FUNCTION refuse_all_but_removed_marks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'marks' IS DISTINCT FROM to_jsonb(OLD) - 'marks'
       OR cardinality(NEW.marks) <> cardinality(OLD.marks)
       OR EXISTS (SELECT 1 FROM unnest(NEW.marks, OLD.marks) AS m(new, old) WHERE NOT is_left_of(m.new, m.old))
       OR NOT EXISTS (SELECT 1 FROM erased_mark WHERE fact_id = OLD.id AND removed_at IS NOT NULL)
       OR NOT EXISTS (SELECT 1 FROM personal_data WHERE subject_id = OLD.id AND erased_at IS NOT NULL) THEN
        RAISE EXCEPTION 'fact is append-only: only the marks of the erased go' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fact_marks BEFORE UPDATE ON fact FOR EACH ROW EXECUTE FUNCTION refuse_all_but_removed_marks();

-- Of the keys of facts and referrals only a mark at their end changes.
CREATE FUNCTION is_key_left_of(new_key text, old_key text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT is_left_of(substring(new_key FROM '[a-z_]+:[^:/]*$'), substring(old_key FROM '[a-z_]+:[^:/]*$'))
       AND regexp_replace(new_key, '[a-z_]+:[^:/]*$', '') = regexp_replace(old_key, '[a-z_]+:[^:/]*$', '')
$$;

CREATE FUNCTION refuse_other_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'key' IS DISTINCT FROM to_jsonb(OLD) - 'key'
       OR is_key_left_of(NEW.key, OLD.key) IS NOT TRUE
       OR (TG_TABLE_NAME = 'fact_key' AND NOT EXISTS (
           SELECT 1 FROM erased_mark
           WHERE fact_id = CAST(to_jsonb(OLD)->>'fact_id' AS uuid) AND removed_at IS NOT NULL)) THEN
        RAISE EXCEPTION '% is append-only: only the marks of the erased go', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fact_key_marks BEFORE UPDATE ON fact_key FOR EACH ROW EXECUTE FUNCTION refuse_other_keys();
CREATE TRIGGER referral_key_marks BEFORE UPDATE ON referral_key FOR EACH ROW EXECUTE FUNCTION refuse_other_keys();
