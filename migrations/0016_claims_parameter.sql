-- The claims parameter (OpenID Connect Core 5.5).

ALTER TABLE grants
    -- Claims about the person that were asked for by name: lists under `userinfo` and `id_token`. Empty for most grants.
    ADD COLUMN requested_claims jsonb CHECK (jsonb_typeof(requested_claims) = 'object');

ALTER TABLE consents
    -- Claims by name that the person allowed beyond what the scope releases.
    ADD COLUMN claims text[] NOT NULL DEFAULT '{}';
