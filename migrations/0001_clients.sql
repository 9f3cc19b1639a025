-- Clients, their secrets, and the resource servers for which they ask tokens.

CREATE TABLE clients (
    id                              text PRIMARY KEY CHECK (id ~ '^[!#-\[\]-~]{1,128}$'),
    client_name                     text NOT NULL CHECK (char_length(client_name) BETWEEN 1 AND 200),
    client_uri                      text,
    logo_uri                        text,
    policy_uri                      text,
    tos_uri                         text,
    redirect_uris                   text[] NOT NULL DEFAULT '{}',
    post_logout_redirect_uris       text[] NOT NULL DEFAULT '{}',
    application_type                text NOT NULL CHECK (application_type IN ('web', 'native')),
    token_endpoint_auth_method      text NOT NULL
        CHECK (token_endpoint_auth_method IN ('client_secret_basic', 'client_secret_post', 'none')),
    grant_types                     text[] NOT NULL
        CHECK (grant_types <@ ARRAY['authorization_code', 'refresh_token', 'client_credentials']),
    scope                           text[] NOT NULL DEFAULT '{}',
    id_token_signed_response_alg    text NOT NULL
        CHECK (id_token_signed_response_alg IN ('ES256', 'RS256', 'PS256', 'EdDSA')),
    require_pkce                    boolean NOT NULL DEFAULT true,
    skip_consent                    boolean NOT NULL DEFAULT false,
    access_token_lifetime           integer CHECK (access_token_lifetime BETWEEN 10 AND 86400),
    refresh_token_absolute_lifetime integer CHECK (refresh_token_absolute_lifetime > 0),
    refresh_token_idle_lifetime     integer CHECK (refresh_token_idle_lifetime > 0),
    refresh_token_grace_period      integer CHECK (refresh_token_grace_period BETWEEN 0 AND 300),
    disabled_at                     timestamptz,
    -- Tokens and grants from before this moment are dead; moving it forward signs everybody out of the client at once.
    tokens_not_before               timestamptz NOT NULL DEFAULT '-infinity',
    created_at                      timestamptz NOT NULL,
    updated_at                      timestamptz NOT NULL,
    -- A client that cannot keep a secret must prove with PKCE that the code is its own, and has nothing to authenticate with.
    CONSTRAINT public_clients_use_pkce CHECK (token_endpoint_auth_method <> 'none' OR require_pkce),
    CONSTRAINT public_clients_have_users CHECK (token_endpoint_auth_method <> 'none' OR NOT 'client_credentials' = ANY (grant_types)),
    CONSTRAINT codes_need_a_redirect_uri CHECK (NOT 'authorization_code' = ANY (grant_types) OR cardinality(redirect_uris) > 0)
);

-- Two slots: the old secret and its replacement.
CREATE TABLE client_secrets (
    id         uuid PRIMARY KEY,
    client_id  text NOT NULL REFERENCES clients ON DELETE CASCADE,
    slot       smallint NOT NULL CHECK (slot IN (1, 2)),
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    created_at timestamptz NOT NULL,
    UNIQUE (client_id, slot)
);

CREATE TABLE resource_servers (
    id                    uuid PRIMARY KEY,
    audience              text NOT NULL UNIQUE CHECK (audience ~ '^[a-z][a-z0-9+.-]*:[!-"$-~]+$'),
    name                  text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    signing_algorithm     text NOT NULL CHECK (signing_algorithm IN ('ES256', 'RS256', 'PS256', 'EdDSA')),
    access_token_lifetime integer CHECK (access_token_lifetime BETWEEN 10 AND 86400),
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL
);

-- A scope token belongs to one resource server only, so that a token's audience follows from its scope.
CREATE TABLE resource_server_scopes (
    scope              text PRIMARY KEY CHECK (scope ~ '^[!#-\[\]-~]{1,128}$'),
    resource_server_id uuid NOT NULL REFERENCES resource_servers ON DELETE CASCADE,
    CONSTRAINT standard_scopes_are_taken
        CHECK (scope NOT IN ('openid', 'profile', 'email', 'address', 'phone', 'offline_access'))
);
CREATE INDEX ON resource_server_scopes (resource_server_id);

CREATE TABLE resource_server_introspection_clients (
    resource_server_id uuid NOT NULL REFERENCES resource_servers ON DELETE CASCADE,
    client_id          text NOT NULL REFERENCES clients ON DELETE CASCADE,
    PRIMARY KEY (resource_server_id, client_id)
);
CREATE INDEX ON resource_server_introspection_clients (client_id);

-- The server's own admin API.
INSERT INTO resource_servers (id, audience, name, signing_algorithm, created_at, updated_at)
VALUES ('019a0000-0000-7000-8000-000000000001', 'urn:keystead:admin', 'Keystead admin API', 'ES256', now(), now());
INSERT INTO resource_server_scopes (scope, resource_server_id)
VALUES ('keystead:admin', '019a0000-0000-7000-8000-000000000001'),
       ('keystead:admin.read', '019a0000-0000-7000-8000-000000000001');
