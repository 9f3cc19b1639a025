-- Who did what to what, when, from where. Rows are only ever added, and removed by age.

CREATE TABLE audit_events (
    id             uuid PRIMARY KEY,
    at             timestamptz NOT NULL,
    name           text NOT NULL,
    actor_kind     text NOT NULL CHECK (actor_kind IN ('client', 'user', 'cli', 'system')),
    actor_id       text,
    subject        text NOT NULL,
    details        jsonb NOT NULL DEFAULT '{}',
    ip             text,
    correlation_id text NOT NULL DEFAULT ''
);
CREATE INDEX ON audit_events (subject, id);

-- The first administrator is made once.
CREATE TABLE bootstrap (
    done boolean PRIMARY KEY DEFAULT true CHECK (done),
    at   timestamptz NOT NULL
);
