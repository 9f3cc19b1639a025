//! The private PostgreSQL as its superuser sees it: settings, sizes and statistics.
#![expect(clippy::disallowed_methods, reason = "these statements are about PostgreSQL itself, or the tool's own")]

use std::str::FromStr as _;

use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};

use crate::failure::Failure;

/// What `keystead dev` calls the superuser of its PostgreSQL.
const SUPERUSER: &str = "postgres";

/// A connection as superuser.
pub struct Database {
    /// The connection.
    pub connection: PgConnection,
}

/// How big something is.
#[derive(Debug, Clone, sqlx::FromRow, Serialize)]
pub struct Size {
    /// A table's heap, an index, or the database.
    pub name: String,
    /// How big it is.
    pub bytes: i64,
    /// Its rows, by the planner's estimate.
    pub rows: i64,
}

/// What PostgreSQL counted about the table of grants.
#[derive(Debug, Clone, Copy, sqlx::FromRow, Serialize)]
pub struct Counts {
    /// Rows updated so far.
    pub updated: i64,
    /// Those of them that stayed on their page, so that no index had to change.
    pub hot: i64,
    /// Dead rows at the moment.
    pub dead: i64,
    /// How often autovacuum has been there.
    pub autovacuums: i64,
    /// The heap.
    pub heap_bytes: i64,
    /// All of its indexes.
    pub index_bytes: i64,
    /// Bytes of WAL since the database was made.
    pub wal_bytes: i64,
}

impl Database {
    /// Connects, and lets WAL grow as one would for a database of this size: with the default PostgreSQL would write checkpoints all the time.
    pub async fn connect(url: &str) -> Result<Self, Failure> {
        let connection = PgConnectOptions::from_str(url)?.username(SUPERUSER).connect().await?;
        let mut this = Self { connection };
        this.set("max_wal_size", "'8GB'").await?;
        // What this connection writes by the million need not wait for the disk; the server's own commits do.
        this.run("SET synchronous_commit = off").await?;
        Ok(this)
    }

    /// Runs statements without parameters.
    pub async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await.map_err(|e| Failure::from(e).at(sql))?;
        Ok(())
    }

    /// Changes a setting of the server.
    pub async fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.run(&format!("ALTER SYSTEM SET {name} = {value}")).await?;
        self.run("SELECT pg_reload_conf()").await
    }

    /// The version, and what it waits for.
    pub async fn version(&mut self) -> Result<String, Failure> {
        let statement = "SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', shared_buffers '
                             || current_setting('shared_buffers') || ', max_wal_size ' || current_setting('max_wal_size')";
        Ok(sqlx::query_scalar(statement).fetch_one(&mut self.connection).await?)
    }

    /// Keeps every server from cleaning up, by the lock with which they agree on one of them.
    pub async fn hold_clean_up(&mut self) -> Result<(), Failure> {
        self.run("SELECT pg_advisory_lock(hashtext('keystead housekeeping'))").await
    }

    /// Lets them.
    pub async fn let_clean_up(&mut self) -> Result<(), Failure> {
        self.run("SELECT pg_advisory_unlock(hashtext('keystead housekeeping'))").await
    }

    /// Grants that the clean-up has to remove.
    pub async fn expired_grants(&mut self) -> Result<u64, Failure> {
        let statement = "SELECT count(*) FROM grants WHERE expires_at < now() - interval '1 day'";
        Ok(u64::try_from(sqlx::query_scalar::<_, i64>(statement).fetch_one(&mut self.connection).await?)?)
    }

    /// Leaves the database as if it had been in peace for a while.
    pub async fn vacuum(&mut self) -> Result<(), Failure> {
        self.run("VACUUM ANALYZE").await?;
        self.run("CHECKPOINT").await
    }

    /// The database, its big tables and their indexes.
    pub async fn sizes(&mut self) -> Result<Vec<Size>, Failure> {
        let statement = "SELECT 'database' AS name, pg_database_size(current_database()) AS bytes, 0::bigint AS rows
             UNION ALL SELECT 'grants in all', pg_total_relation_size('grants'), (SELECT reltuples::bigint FROM pg_class WHERE oid = 'grants'::regclass)
             UNION ALL (SELECT c.relname, pg_relation_size(c.oid), c.reltuples::bigint
                 FROM unnest(ARRAY['grants', 'users', 'sessions']) WITH ORDINALITY AS t (name, place)
                 JOIN pg_class c ON c.oid = t.name::regclass OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = t.name::regclass)
                 ORDER BY t.place, c.relkind DESC, c.relname)";
        Ok(sqlx::query_as(statement).fetch_all(&mut self.connection).await?)
    }

    /// What was counted about grants so far.
    pub async fn counts(&mut self) -> Result<Counts, Failure> {
        // What this connection did is told at the end of a transaction.
        self.run("SELECT pg_stat_force_next_flush()").await?;
        let statement =
            "SELECT n_tup_upd AS updated, n_tup_hot_upd AS hot, n_dead_tup AS dead, autovacuum_count AS autovacuums,
                pg_relation_size(relid) AS heap_bytes, pg_indexes_size(relid) AS index_bytes,
                pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_bytes
             FROM pg_stat_user_tables WHERE relname = 'grants'";
        Ok(sqlx::query_as(statement).fetch_one(&mut self.connection).await?)
    }

    /// Takes the foreign keys of a table away for a while; gives the statement that puts them back, and with that checks every row.
    pub async fn set_aside_foreign_keys(&mut self, table: &str) -> Result<String, Failure> {
        let statement = "SELECT string_agg(format('DROP CONSTRAINT %I', conname), ', '),
                string_agg(format('ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), ', ')
             FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'f'";
        let (away, back): (String, String) =
            sqlx::query_as(statement).bind(table).fetch_one(&mut self.connection).await?;
        self.run(&format!("ALTER TABLE {table} {away}")).await?;
        Ok(format!("ALTER TABLE {table} {back}"))
    }
}
