-- Signing keys and MAC keys. Private parts are encrypted under a key-encryption key that is not in the database.

CREATE TABLE keys (
    kid               bytea PRIMARY KEY CHECK (octet_length(kid) = 8),
    algorithm         text NOT NULL CHECK (algorithm IN ('ES256', 'RS256', 'PS256', 'EdDSA', 'HMAC-SHA256')),
    wrapped           bytea NOT NULL,
    encryption_key_id text NOT NULL,
    created_at        timestamptz NOT NULL,
    activates_at      timestamptz NOT NULL,
    retires_at        timestamptz,
    expires_at        timestamptz,
    revoked_at        timestamptz,
    CONSTRAINT life_goes_forward CHECK (retires_at >= activates_at AND expires_at >= retires_at),
    CONSTRAINT an_end_is_planned CHECK ((retires_at IS NULL) = (expires_at IS NULL))
);
-- Each algorithm has one newest key; replicas that rotate at the same moment cannot make two.
CREATE UNIQUE INDEX one_newest_key ON keys (algorithm) WHERE retires_at IS NULL AND revoked_at IS NULL;
