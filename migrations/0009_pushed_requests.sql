-- Authorization requests that clients pushed (RFC 9126). A row is of use for a minute or two, so there are few; it needs no index by client.

CREATE TABLE pushed_requests (
    -- SHA-256 of the request_uri; whoever reads the table learns none.
    sha256     bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    -- The request's id. That a request is answered with one code at most is decided by grants.request_id.
    request_id uuid NOT NULL UNIQUE,
    client_id  text NOT NULL REFERENCES clients ON DELETE CASCADE,
    -- As it was judged; only the server reads it.
    request    jsonb NOT NULL CHECK (jsonb_typeof(request) = 'object'),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON pushed_requests (expires_at);
