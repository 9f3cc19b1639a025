-- Browser sessions. The cookie's value is not here, only its SHA-256.

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    auth_time    timestamptz NOT NULL,
    acr          text NOT NULL,
    amr          text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    ip           text,
    user_agent   text CHECK (char_length(user_agent) <= 400)
) WITH (fillfactor = 80);
CREATE INDEX ON sessions (user_id);
CREATE INDEX ON sessions (expires_at);
