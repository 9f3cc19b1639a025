-- Newer client metadata, and proofs that may be used once.

ALTER TABLE clients
    -- What a client registers beyond the columns, with the names of its specifications. Nothing is searched by these.
    ADD COLUMN protocol jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(protocol) = 'object'),
    DROP CONSTRAINT clients_token_endpoint_auth_method_check,
    ADD CONSTRAINT clients_token_endpoint_auth_method_check CHECK (token_endpoint_auth_method IN
        ('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth', 'none')),
    DROP CONSTRAINT clients_grant_types_check,
    ADD CONSTRAINT clients_grant_types_check CHECK (grant_types <@ ARRAY['authorization_code', 'refresh_token', 'client_credentials',
        'urn:ietf:params:oauth:grant-type:device_code', 'urn:ietf:params:oauth:grant-type:token-exchange',
        'urn:ietf:params:oauth:grant-type:jwt-bearer']);

-- Client assertions and DPoP proofs that were seen, so that no replica takes one twice. Of use until the proof would be too old anyway.
CREATE TABLE used_proofs (
    key        bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON used_proofs (expires_at);
