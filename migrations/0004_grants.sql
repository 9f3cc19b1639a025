-- Grants: one row an authorization, however often its tokens are refreshed; and what people allowed before.

CREATE TABLE grants (
    id              uuid PRIMARY KEY,
    -- One authorization request is answered once, however often its form is posted.
    request_id      uuid NOT NULL UNIQUE,
    client_id       text NOT NULL REFERENCES clients ON DELETE CASCADE,
    user_id         uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- No foreign key: a grant for offline use outlives the row of its session, and a session that is gone counts as over.
    session_id      uuid NOT NULL,
    scope           text[] NOT NULL,
    resources       text[] NOT NULL DEFAULT '{}',
    auth_time       timestamptz NOT NULL,
    acr             text NOT NULL,
    amr             text[] NOT NULL,
    nonce           text,
    redirect_uri    text NOT NULL,
    code_challenge  text CHECK (code_challenge ~ '^[A-Za-z0-9_-]{43}$'),
    code_expires_at timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    -- These four change with every rotation; no index may hold them, so that an update stays on its page (HOT).
    generation      integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
    mac_kid         bytea NOT NULL CHECK (octet_length(mac_kid) = 8),
    rotated_at      timestamptz NOT NULL,
    idle_expires_at timestamptz NOT NULL,
    ended_at        timestamptz,
    end_reason      text,
    CONSTRAINT an_end_has_a_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT idle_is_within_absolute CHECK (idle_expires_at <= expires_at)
) WITH (fillfactor = 80);
CREATE INDEX ON grants (user_id);
CREATE INDEX ON grants (client_id);
CREATE INDEX ON grants (expires_at);

CREATE TABLE consents (
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id  text NOT NULL REFERENCES clients ON DELETE CASCADE,
    scope      text[] NOT NULL,
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX ON consents (client_id);

-- Access tokens revoked one by one; a row is of use until the token would have expired anyway.
CREATE TABLE revoked_tokens (
    jti        text PRIMARY KEY CHECK (char_length(jti) <= 100),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON revoked_tokens (expires_at);
