-- People who sign in.

CREATE TABLE users (
    id                  uuid PRIMARY KEY,
    username            text CHECK (username !~ '@' AND char_length(username) BETWEEN 1 AND 100),
    username_normalized text UNIQUE,
    email               text NOT NULL CHECK (email ~ '^[^@\s]+@[^@\s]+$' AND char_length(email) <= 254),
    email_normalized    text NOT NULL UNIQUE,
    email_verified      boolean NOT NULL DEFAULT false,
    password_hash       text CHECK (password_hash LIKE '$argon2id$%'),
    profile             jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(profile) = 'object'),
    locked_at           timestamptz,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CONSTRAINT usernames_are_normalized CHECK ((username IS NULL) = (username_normalized IS NULL))
);

-- Consecutive failed sign-ins. The key is an account and, where the browser signed in there before, its device; so a stranger's
-- failures never block a known browser. Names without an account share 2^20 keys, so a stranger cannot make the table grow.
CREATE TABLE sign_in_failures (
    key            bytea PRIMARY KEY CHECK (octet_length(key) BETWEEN 2 AND 32),
    failures       integer NOT NULL CHECK (failures >= 0),
    last_failed_at timestamptz NOT NULL
) WITH (fillfactor = 70);
