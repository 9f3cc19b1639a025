-- Tells every replica that something it holds in memory has changed. Only rare changes may do this: NOTIFY takes one lock at commit.

CREATE FUNCTION announce_client() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('keystead', 'client ' || CASE TG_TABLE_NAME
        WHEN 'clients' THEN COALESCE(to_jsonb(NEW) ->> 'id', to_jsonb(OLD) ->> 'id')
        ELSE COALESCE(to_jsonb(NEW) ->> 'client_id', to_jsonb(OLD) ->> 'client_id') END);
    RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON clients FOR EACH ROW EXECUTE FUNCTION announce_client();
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON client_secrets FOR EACH ROW EXECUTE FUNCTION announce_client();

CREATE FUNCTION announce_table() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('keystead', TG_ARGV[0]);
    RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON resource_servers
    FOR EACH STATEMENT EXECUTE FUNCTION announce_table('resource_servers');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON resource_server_scopes
    FOR EACH STATEMENT EXECUTE FUNCTION announce_table('resource_servers');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON resource_server_introspection_clients
    FOR EACH STATEMENT EXECUTE FUNCTION announce_table('resource_servers');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON keys
    FOR EACH STATEMENT EXECUTE FUNCTION announce_table('keys');
