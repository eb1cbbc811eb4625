-- One published version of a program's terms.
CREATE TABLE program_version (
    program VARCHAR,
    version INTEGER,
    effective_from TIMESTAMPTZ NOT NULL,
    terms JSONB NOT NULL,
    source VARCHAR NOT NULL,
    published_at TIMESTAMPTZ NOT NULL,
    published_by VARCHAR NOT NULL,
    PRIMARY KEY (program, version)
);

-- When the acts on a program are to be carried out next.
CREATE TABLE program_life (
    program VARCHAR PRIMARY KEY,
    told BIGINT NOT NULL,
    due_at TIMESTAMPTZ
);
