-- Clients that registered themselves (RFC 7591), and the tokens with which operators let them.

CREATE TABLE initial_access_tokens (
    id          uuid PRIMARY KEY,
    sha256      bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    description text NOT NULL CHECK (char_length(description) <= 200),
    uses        integer NOT NULL CHECK (uses > 0),
    uses_left   integer NOT NULL CHECK (uses_left BETWEEN 0 AND uses),
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX ON initial_access_tokens (expires_at);

-- Not in `clients`: nothing here is in memory, and a change here is announced to nobody.
CREATE TABLE client_registrations (
    client_id    text PRIMARY KEY REFERENCES clients ON DELETE CASCADE,
    -- Of the registration access token (RFC 7592 §3).
    token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
    last_used_at timestamptz NOT NULL,
    -- When the clean-up last asked whether the client is in use.
    looked_at    timestamptz NOT NULL
);
CREATE INDEX ON client_registrations (looked_at);
