-- The key that makes the names by which pairwise clients know people (OpenID Connect Core §8.1), encrypted as those in `keys` are.
-- It is not among them, since it has no stages of life: with another key everybody would be a stranger to those clients.

CREATE TABLE pairwise_key (
    only_one          boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    kid               bytea NOT NULL CHECK (octet_length(kid) = 8),
    wrapped           bytea NOT NULL,
    encryption_key_id text NOT NULL,
    created_at        timestamptz NOT NULL
);
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON pairwise_key
    FOR EACH STATEMENT EXECUTE FUNCTION announce_table('keys');
