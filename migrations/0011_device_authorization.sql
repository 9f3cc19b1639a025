-- Device authorization (RFC 8628): a device that waits, and what a person decided about it in a browser.

CREATE TABLE device_authorizations (
    -- Becomes the request_id of the grant, which is unique: one request yields one grant.
    id                 uuid PRIMARY KEY,
    client_id          text NOT NULL REFERENCES clients ON DELETE CASCADE,
    device_code_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(device_code_sha256) = 32),
    -- The name of a MAC key and a MAC under it: from a plain hash 34 bits would be found in a moment.
    user_code_tag      text NOT NULL UNIQUE CHECK (char_length(user_code_tag) = 54),
    scope              text[] NOT NULL,
    resources          text[] NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    -- Seconds that must lie between two polls; grows each time the device asks too soon.
    poll_interval      integer NOT NULL CHECK (poll_interval > 0),
    polled_at          timestamptz,
    -- Whether the latest poll came too soon after the one before.
    polled_too_soon    boolean NOT NULL DEFAULT false,
    decided_at         timestamptz,
    -- What was allowed; a decision without it was a refusal. No foreign key: a grant that is gone counts as ended.
    grant_id           uuid,
    CONSTRAINT only_a_decision_has_a_grant CHECK (grant_id IS NULL OR decided_at IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX ON device_authorizations (client_id);
CREATE INDEX ON device_authorizations (expires_at);
