//! The only SQL: one file for each aggregate, `query!` everywhere, guarded statements that decide races.
//!
//! Owns: tables, rows and their conversion into domain values. Does not own: rules (`protocol`) or the order of steps (`flows`);
//! it never opens a transaction by itself.

pub mod assertion_grants;
pub mod audit;
mod batch;
pub mod bootstrap;
pub mod clients;
pub mod consents;
pub mod device_authorizations;
pub mod grants;
pub mod housekeeping;
pub mod initial_access_tokens;
mod kept;
pub mod keys;
pub mod listen;
pub mod live_access;
pub mod logout_notices;
pub mod pairwise_key;
mod person;
pub mod proofs;
pub mod pushed_requests;
pub mod registrations;
pub mod resource_servers;
pub mod sessions;
pub mod sign_in_failures;
pub mod tokens;
mod tx;
pub mod users;

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};

use crate::domain::{Grant, GrantId, Timestamp};
use batch::Batcher;
pub use grants::{GrantQuestion, Redemption, RotationQuestion};
use kept::Kept;
pub use sqlx::PgPool as Pool;
pub use tokens::{PersonBehind, TokenQuestion, TokenStanding};
pub use tx::{Tx, connection};

/// A connection of a pool.
pub type Connection = sqlx::pool::PoolConnection<sqlx::Postgres>;

/// The migrations that this binary was built with.
static MIGRATOR: Migrator = sqlx::migrate!();

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection in time, or the connection broke: asking again later may help.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// Two statements waited for each other, or met a failover; PostgreSQL gave one of them up. The same again may succeed.
    #[error("the database gave up a statement in favour of another: {0}")]
    Contended(#[source] sqlx::Error),
    /// Too many callers wait for the database already.
    #[error("too many callers wait for the database")]
    Overloaded,
    /// A UNIQUE, CHECK or FOREIGN KEY constraint of this name refused the row.
    #[error("constraint {0} refused the row")]
    Constraint(String),
    /// A row holds what this version cannot read.
    #[error("{table} row {id} holds a {field} that this version cannot read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// The column.
        field: &'static str,
    },
    /// The schema and this binary do not fit together.
    #[error("{0}")]
    Schema(String),
    /// Anything else: a defect.
    #[error("the database refused a statement: {0}")]
    Statement(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether it was this constraint.
    #[must_use]
    pub fn is_constraint(&self, name: &str) -> bool {
        matches!(self, Self::Constraint(constraint) if constraint == name)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_) => Self::Unavailable(Arc::new(error)),
            sqlx::Error::Database(refusal) => {
                let code = refusal.code().unwrap_or_default().into_owned();
                match (refusal.constraint(), code.as_str()) {
                    // 57014 is the statement timeout; 08, 53 and 57P: connection trouble, too many of them, or a server that goes down or comes up.
                    // 25006: a primary that has just become a standby.
                    (_, "57014" | "25006") => Self::Unavailable(Arc::new(error)),
                    (_, "40001" | "40P01") => Self::Contended(error),
                    (_, code) if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
                        Self::Unavailable(Arc::new(error))
                    }
                    (Some(constraint), _) => Self::Constraint(constraint.to_owned()),
                    _ => Self::Statement(error),
                }
            }
            _ => Self::Statement(error),
        }
    }
}

/// How to reach the database.
pub struct StoreOptions {
    /// `postgres://...`
    pub url: crate::domain::Secret,
    /// Connections that this process may hold, beside two that listen.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long PostgreSQL works on one statement at most.
    pub statement_timeout: Duration,
}

/// Statements that read the state of access tokens and may be in flight at once. With one the processes take turns and each waits for the
/// other; a third gained nothing.
const READERS: u8 = 2;
/// Connections for batches: one for each statement that may be in flight. All others have one statement of their kind in flight at most: while
/// it waits for the disk, the next one's work gathers. With two refreshes made smaller statements and more commits.
///
/// They are told to plan a statement once. PostgreSQL would plan it anew for each length of the arrays, which takes longer than to run it.
const BATCHING: u32 = 3 + READERS as u32;
/// Connections that hear of changes and read what changed, beside those of the pool.
const LISTENING: u32 = 2;
/// PostgreSQL ends a statement in time; when it does not even say so within this, it is gone.
const SILENCE: Duration = Duration::from_secs(1);

/// Load balancers and orchestrators ask every few seconds whether this process is ready, and give up on the answer soon.
const READINESS: Duration = Duration::from_secs(2);

/// A handle on the database; clones share the connections. It must be made inside a tokio runtime.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    kept: Kept,
    standings: Batcher<TokenQuestion, TokenStanding>,
    grants: Batcher<GrantQuestion, Option<Grant>>,
    redemptions: Batcher<Redemption, bool>,
    rotations: Batcher<RotationQuestion, Option<Grant>>,
    /// How to make the pool of the listener, anew each time.
    listening: (PgPoolOptions, PgConnectOptions),
}

impl Store {
    /// Prepares the pool without connecting: a server may start before its database.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn prepare(options: &StoreOptions) -> Result<Self, StoreError> {
        let milliseconds = options.statement_timeout.as_millis().to_string();
        let connect = options
            .url
            .expose()
            .parse::<PgConnectOptions>()
            .map_err(StoreError::Statement)?
            .application_name("keystead")
            .options([("statement_timeout", milliseconds.as_str()), ("timezone", "UTC")])
            .disable_statement_logging();
        let longest = longest_statement(options);
        let settings = PgPoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            // A broken connection shows itself at its first use and costs one request an error that may be sent again;
            // asking beforehand costs every request a round trip.
            .test_before_acquire(false)
            .after_release(move |connection, _| Box::pin(still_answers(connection, longest)))
            .idle_timeout(Duration::from_mins(5))
            .max_lifetime(Duration::from_mins(30));
        let batching = BATCHING.min(options.max_connections / 2);
        let rest = options.max_connections - batching;
        let pool = settings.clone().max_connections(rest).connect_lazy_with(connect.clone());
        let generic = connect.clone().options([("plan_cache_mode", "force_generic_plan")]);
        let kept = Kept::new(settings.clone().max_connections(batching).connect_lazy_with(generic));
        let limit = options.acquire_timeout.saturating_add(longest);
        Ok(Self {
            standings: batcher(READERS, limit, &kept, tokens::standings),
            grants: batcher(1, limit, &kept, grants::found),
            redemptions: batcher(1, limit, &kept, grants::redemptions),
            rotations: batcher(1, limit, &kept, grants::rotations),
            kept,
            pool,
            listening: (settings.max_connections(LISTENING), connect),
        })
    }

    /// Statements that need no transaction run on this.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What the database says about an access token, together with other callers' tokens.
    ///
    /// # Errors
    /// The database.
    pub async fn token_standing(&self, question: TokenQuestion) -> Result<TokenStanding, StoreError> {
        self.standings.ask(question).await
    }

    /// A grant with what decides whether it holds, together with other callers' grants.
    ///
    /// # Errors
    /// The database, or a row that this version cannot read.
    pub async fn grant(&self, id: GrantId, now: Timestamp) -> Result<Option<Grant>, StoreError> {
        self.grants.ask(GrantQuestion { id, now }).await
    }

    /// Redeems a code together with other callers' codes. True: it was this call.
    ///
    /// # Errors
    /// The database.
    pub async fn redeem(&self, redemption: Redemption) -> Result<bool, StoreError> {
        self.redemptions.ask(redemption).await
    }

    /// Rotates a refresh token together with other callers' tokens. Nothing comes back where the family no longer holds, or somebody else rotated it just now.
    ///
    /// # Errors
    /// The database.
    pub async fn rotate(&self, question: RotationQuestion) -> Result<Option<Grant>, StoreError> {
        self.rotations.ask(question).await
    }

    /// How far this time is ahead of the database's clock.
    ///
    /// # Errors
    /// The database.
    pub async fn clock_lead(&self, now: Timestamp) -> Result<time::Duration, StoreError> {
        let theirs = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&self.pool).await?;
        Ok(now - theirs)
    }

    /// Applies what is missing of the schema, under PostgreSQL's advisory lock; several processes may do so at once.
    ///
    /// # Errors
    /// The database cannot be reached, or was migrated by a newer version, or an applied migration was changed since.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match MIGRATOR.run(&self.pool).await {
            Ok(()) => Ok(()),
            Err(sqlx::migrate::MigrateError::Execute(error)) => Err(error.into()),
            Err(error) => Err(StoreError::Schema(schema_sentence(&error))),
        }
    }

    /// Makes another database on the same server, empty or as a copy of `template`; for tests and tools, never while serving.
    ///
    /// # Errors
    /// The name is not plain, the database exists, or somebody is connected to the template.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<(), StoreError> {
        let plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if !plain(name) || !template.is_none_or(plain) {
            return Err(StoreError::Schema("a database name may hold a-z, 0-9 and _ only".to_owned()));
        }
        let template = template.map(|template| format!(" TEMPLATE {template}")).unwrap_or_default();
        let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}{template}"));
        sqlx::raw_sql(statement).execute(&self.pool).await?;
        Ok(())
    }

    /// Descriptions of the migrations that are not applied yet, in order.
    ///
    /// # Errors
    /// The database cannot be reached, or was migrated by a newer version.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let applied = self.applied_migrations().await?;
        if let Some(unknown) = applied.iter().find(|version| !MIGRATOR.version_exists(**version)) {
            return Err(StoreError::Schema(schema_sentence(&sqlx::migrate::MigrateError::VersionMissing(*unknown))));
        }
        Ok(missing(&applied))
    }

    /// As [`Store::pending_migrations`], for a process that is already serving: while a newer version is rolled out, the schema may be
    /// ahead of it, and migrations are written so that the previous version goes on working.
    ///
    /// # Errors
    /// The database does not answer soon.
    pub async fn missing_migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(missing(&within(READINESS, self.applied_migrations()).await?))
    }

    async fn applied_migrations(&self) -> Result<Vec<i64>, StoreError> {
        let table = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#)
            .fetch_one(&self.pool)
            .await?;
        if !table {
            return Ok(Vec::new());
        }
        // The table is sqlx's own, made at the first migration, so it is not there when queries are checked.
        #[expect(clippy::disallowed_methods, reason = "the migration table does not exist when queries are prepared")]
        let applied =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(&self.pool).await?;
        Ok(applied)
    }

    /// Connections of the pool: all, and those that nobody uses at the moment.
    #[must_use]
    pub fn pool_usage(&self) -> (u32, usize) {
        let (size, idle) = self.kept.usage();
        (self.pool.size() + size, self.pool.num_idle() + idle)
    }

    /// Lets connections go once they are idle, and waits for those in use.
    pub async fn close(&self) {
        futures_util::future::join(self.pool.close(), self.kept.close()).await;
    }
}

/// Answers questions of one kind together; a batch that gets no connection or no answer within `limit` is given up.
fn batcher<Q, A, F, R>(flushers: u8, limit: Duration, kept: &Kept, statement: F) -> Batcher<Q, A>
where
    Q: Clone + Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(Kept, Arc<[Q]>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>> + Send + 'static,
{
    let kept = kept.clone();
    Batcher::start(flushers, move |questions| within(limit, Box::pin(statement(kept.clone(), questions))))
}

/// How long an answer to a statement can take.
fn longest_statement(options: &StoreOptions) -> Duration {
    let limit = if options.statement_timeout.is_zero() { Duration::from_hours(24) } else { options.statement_timeout };
    limit.saturating_add(SILENCE)
}

/// Whether a connection that its user has left answers. When the other host has vanished without a word, the system would go on sending for a
/// quarter of an hour; until then the connection would hold its place in the pool, and soon every place.
async fn still_answers(connection: &mut PgConnection, longest: Duration) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(longest, connection.ping()).await {
        Ok(answered) => answered.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// The outcome, if it comes in time.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
}

/// What this binary knows and the database does not have.
fn missing(applied: &[i64]) -> Vec<String> {
    let pending = MIGRATOR.iter().filter(|m| !applied.contains(&m.version));
    pending.map(|m| format!("{:04} {}", m.version, m.description)).collect()
}

fn schema_sentence(error: &sqlx::migrate::MigrateError) -> String {
    use sqlx::migrate::MigrateError as M;
    match error {
        M::VersionMissing(version) => format!(
            "the database was migrated by a newer version of keystead (it has migration {version}, which this binary does not know); \
             run that version or a later one"
        ),
        M::VersionMismatch(version) => format!(
            "migration {version} differs from the one that was applied; run a released binary, or restore the file as it was released"
        ),
        M::Dirty(version) => format!(
            "migration {version} was interrupted; restore the database from before it and run keystead migrate again"
        ),
        other => format!("the migrations cannot be applied: {other}"),
    }
}
