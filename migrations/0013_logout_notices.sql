-- Word of ended sessions that clients still have to be told (OpenID Connect Back-Channel Logout). A row goes once the client has confirmed
-- it, or when it is given up.
CREATE TABLE logout_notices (
    -- No foreign key: a notice outlives the session and, where an account was removed, the person.
    session_id uuid NOT NULL,
    client_id  text NOT NULL REFERENCES clients ON DELETE CASCADE,
    user_id    uuid NOT NULL,
    created_at timestamptz NOT NULL,
    due_at     timestamptz NOT NULL,
    attempts   integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    PRIMARY KEY (session_id, client_id)
);
CREATE INDEX ON logout_notices (due_at);
CREATE INDEX ON logout_notices (client_id);
