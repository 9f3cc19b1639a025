-- Clients that publish a document about themselves, and what is counted of clients that nobody registered by hand.

-- How the client came: anybody's registration, an operator's initial access token, or its own document. Each kind has its own places.
ALTER TABLE client_registrations
    ADD COLUMN origin text NOT NULL DEFAULT 'open' CHECK (origin IN ('open', 'token', 'document')),
    -- Whether it was ever seen in use. What was there before is taken to be, so that nothing goes sooner than it was promised.
    ADD COLUMN used boolean NOT NULL DEFAULT true,
    -- A document looks after itself.
    ALTER COLUMN token_sha256 DROP NOT NULL,
    ADD CONSTRAINT registrants_have_a_token CHECK (origin = 'document' OR token_sha256 IS NOT NULL);
ALTER TABLE client_registrations ALTER COLUMN used SET DEFAULT false;
UPDATE client_registrations r SET origin = 'token'
FROM clients c WHERE c.id = r.client_id AND NOT COALESCE((c.protocol ->> 'registered_openly')::boolean, false);

-- A client with a document is kept once a person has signed in to it; until then its requests have no row to point to. They go by themselves,
-- and a request whose client is gone is of no use.
ALTER TABLE pushed_requests DROP CONSTRAINT pushed_requests_client_id_fkey;
