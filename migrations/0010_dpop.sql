-- Sender-constrained tokens (RFC 9449).

ALTER TABLE grants
    -- The SHA-256 thumbprint (RFC 7638) of the key that whoever presents the code, later a refresh token, has to prove. Empty: nobody has to.
    -- No index, because a rotation may set it.
    ADD COLUMN dpop_jkt bytea CHECK (octet_length(dpop_jkt) = 32);
