//! The reference's own tables and statements, of the same shape as those of Keystead.
#![expect(clippy::disallowed_methods, reason = "these tables are not in the migrations that the macros check against")]

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{PgConnection, PgPool, Row as _};
use uuid::Uuid;

use super::batch::Statement;

const SCHEMA: &str = "
    CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), profile jsonb NOT NULL, locked_at timestamptz);
    CREATE TABLE clients (id text PRIMARY KEY, disabled_at timestamptz, tokens_not_before timestamptz NOT NULL DEFAULT '-infinity');
    CREATE TABLE sessions (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        token text NOT NULL UNIQUE,
        user_id uuid NOT NULL REFERENCES users,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL DEFAULT now() + '30 days',
        ended_at timestamptz
    );
    CREATE TABLE revoked_tokens (jti text PRIMARY KEY, expires_at timestamptz NOT NULL);
    CREATE TABLE grants (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id uuid NOT NULL REFERENCES users,
        client_id text NOT NULL DEFAULT 'web' REFERENCES clients,
        session_id uuid NOT NULL DEFAULT gen_random_uuid(),
        scope text[] NOT NULL DEFAULT '{bench:es256,offline_access}',
        generation integer NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        rotated_at timestamptz NOT NULL DEFAULT now(),
        idle_expires_at timestamptz NOT NULL DEFAULT now() + '30 days',
        expires_at timestamptz NOT NULL DEFAULT now() + '365 days',
        ended_at timestamptz
    ) WITH (fillfactor = 80);
    INSERT INTO clients (id) VALUES ('web');
    INSERT INTO users (profile) VALUES ('{\"name\": \"Dora Maria Demo\", \"given_name\": \"Dora\", \"family_name\": \"Demo\",
        \"email\": \"demo@example.com\", \"email_verified\": true, \"picture\": \"https://people.example.com/dora.png\",
        \"website\": \"https://dora.example.com\", \"zoneinfo\": \"Europe/Berlin\", \"locale\": \"en-GB\"}')";

/// Grants that are there from the beginning.
const GRANTS: i32 = 10_000;

/// Makes the database and its tables, and connects.
pub async fn prepare(url: &str) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?;
    let server = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    sqlx::query("DROP DATABASE IF EXISTS reference").execute(&server).await?;
    sqlx::query("CREATE DATABASE reference").execute(&server).await?;
    server.close().await;
    let options = options.database("reference");
    // As in Keystead: to plan anew for each length of the arrays takes longer than to run.
    let options = options.options([("plan_cache_mode", "force_generic_plan")]);
    let pool = PgPoolOptions::new().max_connections(4).test_before_acquire(false).connect_with(options).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    // In a table of a few rows PostgreSQL would read all of them, the dead ones too, instead of asking the index.
    make_grants(&pool, GRANTS, 1).await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&pool).await?;
    Ok(pool)
}

/// A grant, as far as tokens need it.
pub struct Grant {
    pub id: Uuid,
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub scope: String,
    pub generation: i32,
}

impl Grant {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get(0)?,
            user_id: row.try_get(1)?,
            session_id: row.try_get(2)?,
            scope: row.try_get::<Vec<String>, _>(3)?.join(" "),
            generation: row.try_get(4)?,
        })
    }
}

/// Makes grants.
pub async fn make_grants(pool: &PgPool, count: i32, generation: i32) -> Result<Vec<Grant>, sqlx::Error> {
    let statement = "INSERT INTO grants (user_id, generation) SELECT u.id, $2 FROM users u, generate_series(1, $1)
                     RETURNING id, user_id, session_id, scope, generation";
    let rows = sqlx::query(statement).bind(count).bind(generation).fetch_all(pool).await?;
    rows.iter().map(Grant::read).collect()
}

/// Keeps a session.
pub async fn insert_session(pool: &PgPool, token: &str) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO sessions (token, user_id) SELECT $1, id FROM users LIMIT 1";
    sqlx::query(statement).bind(token).execute(pool).await?;
    Ok(())
}

/// The version of PostgreSQL, and whether it waits for the disk.
pub async fn version(pool: &PgPool) -> Result<String, sqlx::Error> {
    let statement = "SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync')";
    sqlx::query_scalar(statement).fetch_one(pool).await
}

/// Whether a token holds: its grant, account, client and session do, and it was not revoked itself.
pub struct Live;

impl Statement for Live {
    type Question = (Uuid, Arc<str>);
    type Answer = bool;

    async fn run(connection: &mut PgConnection, tokens: &[(Uuid, Arc<str>)]) -> Result<Vec<bool>, sqlx::Error> {
        let statement = "SELECT g.id, NULL
             FROM grants g
             JOIN users u ON u.id = g.user_id AND u.locked_at IS NULL
             JOIN clients c ON c.id = g.client_id AND c.disabled_at IS NULL AND c.tokens_not_before <= g.created_at
             WHERE g.id = ANY ($1) AND g.ended_at IS NULL AND g.expires_at > now()
               AND ('offline_access' = ANY (g.scope)
                    OR (SELECT s.ended_at IS NULL AND s.expires_at > now() FROM sessions s WHERE s.id = g.session_id))
             UNION ALL
             SELECT NULL, r.jti FROM revoked_tokens r WHERE r.jti = ANY ($2)";
        // What is asked for twice is looked up once.
        let grants: HashSet<Uuid> = tokens.iter().map(|(grant, _)| *grant).collect();
        let jtis: HashSet<&str> = tokens.iter().map(|(_, jti)| &**jti).collect();
        let (grants, jtis): (Vec<Uuid>, Vec<&str>) = (grants.into_iter().collect(), jtis.into_iter().collect());
        let rows: Vec<(Option<Uuid>, Option<String>)> =
            sqlx::query_as(statement).bind(grants).bind(jtis).fetch_all(connection).await?;
        let (mut live, mut revoked) = (HashSet::new(), HashSet::new());
        for (grant, jti) in rows {
            live.extend(grant);
            revoked.extend(jti);
        }
        Ok(tokens.iter().map(|(grant, jti)| live.contains(grant) && !revoked.contains(&**jti)).collect())
    }
}

/// What is known about the person of a grant that holds.
pub struct Person;

impl Statement for Person {
    type Question = Uuid;
    type Answer = Option<String>;

    async fn run(connection: &mut PgConnection, grants: &[Uuid]) -> Result<Vec<Option<String>>, sqlx::Error> {
        let statement = "SELECT g.id, u.profile::text FROM grants g JOIN users u ON u.id = g.user_id
                         WHERE g.id = ANY ($1) AND g.ended_at IS NULL AND g.expires_at > now()";
        let rows: Vec<(Uuid, String)> = sqlx::query_as(statement).bind(grants).fetch_all(connection).await?;
        let people: HashMap<Uuid, String> = rows.into_iter().collect();
        Ok(grants.iter().map(|grant| people.get(grant).cloned()).collect())
    }
}

/// From one generation to the next.
pub struct Rotation {
    pub grant: Uuid,
    pub generation: i32,
}

/// Rotations; each answer is the grant as it is now, if it was this call that rotated it.
pub struct Rotate;

impl Statement for Rotate {
    type Question = Rotation;
    type Answer = Option<Grant>;

    async fn run(connection: &mut PgConnection, rotations: &[Rotation]) -> Result<Vec<Option<Grant>>, sqlx::Error> {
        let statement = "UPDATE grants g
             SET generation = g.generation + 1, rotated_at = now(), idle_expires_at = LEAST(now() + '30 days', g.expires_at)
             FROM unnest($1::uuid[], $2::integer[]) AS asked (id, generation), users u, clients c
             WHERE g.id = asked.id AND g.generation = asked.generation
               AND g.ended_at IS NULL AND g.expires_at > now() AND g.idle_expires_at > now()
               AND u.id = g.user_id AND u.locked_at IS NULL AND c.id = g.client_id AND g.created_at >= c.tokens_not_before
               AND ('offline_access' = ANY (g.scope)
                    OR (SELECT s.ended_at IS NULL AND s.expires_at > now() FROM sessions s WHERE s.id = g.session_id))
             RETURNING g.id, g.user_id, g.session_id, g.scope, g.generation";
        let ids: Vec<Uuid> = rotations.iter().map(|rotation| rotation.grant).collect();
        let generations: Vec<i32> = rotations.iter().map(|rotation| rotation.generation).collect();
        let rows = sqlx::query(statement).bind(ids).bind(generations).fetch_all(connection).await?;
        let grants: Vec<Grant> = rows.iter().map(Grant::read).collect::<Result<_, _>>()?;
        let mut grants: HashMap<Uuid, Grant> = grants.into_iter().map(|grant| (grant.id, grant)).collect();
        Ok(rotations.iter().map(|rotation| grants.remove(&rotation.grant)).collect())
    }
}
