//! People, sessions and grants by COPY, and grants of the real server amid them: ids are made by the clock, so those of the server lie between
//! those of the fill in the table and in its indexes alike.
#![expect(clippy::disallowed_methods, reason = "rows that serve as patterns")]

use std::time::Instant;

use sqlx::types::Uuid;

use super::database::Database;
use super::rows::{Numbers, Rows};
use super::{Args, CHAINS};
use crate::failure::Failure;
use crate::http::Connection;
use crate::operation::{Circle, SignIn};
use crate::target::{Keystead, PERSON};

/// Rows of one COPY of people; those of grants are as many as lie between two grants of the server.
const STEP: u64 = 10_000;
/// Grants of the server that one person gives, so that hashing passwords is not most of the fill.
const CHAINS_A_PERSON: usize = 4;
const DAY: i64 = 86_400_000_000;
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

const USERS: &str =
    "users (id, email, email_normalized, email_verified, password_hash, profile, created_at, updated_at)";
const SESSIONS: &str =
    "sessions (id, token_sha256, user_id, auth_time, acr, amr, created_at, last_seen_at, expires_at, ip, user_agent)";
const GRANTS: &str = "grants (id, request_id, client_id, user_id, session_id, scope, resources, auth_time, acr, amr, nonce, redirect_uri,
    code_challenge, code_expires_at, created_at, expires_at, generation, mac_kid, rotated_at, idle_expires_at)";

/// The grants of the fill.
pub struct Filled {
    /// Those that have not expired, in the order of the table.
    pub live: Vec<Uuid>,
}

/// A real grant and its person; the fill repeats whatever does not differ from row to row.
#[derive(sqlx::FromRow)]
struct Pattern {
    scope: Vec<String>,
    resources: Vec<String>,
    acr: String,
    amr: Vec<String>,
    nonce: Option<String>,
    redirect_uri: String,
    code_challenge: Option<String>,
    mac_kid: Vec<u8>,
    /// In microseconds, as what follows.
    lifetime: i64,
    idle_lifetime: i64,
    session_lifetime: i64,
    password_hash: String,
    profile: String,
    now: i64,
}

/// Fills the database, and adds grants of the server to these chains.
pub async fn fill(
    database: &mut Database,
    keystead: &Keystead,
    args: &Args,
    chains: &Circle,
) -> Result<Filled, Failure> {
    if let Some(share) = args.fillfactor {
        database.run(&format!("ALTER TABLE grants SET (fillfactor = {share})")).await?;
    }
    database.set("autovacuum", "off").await?;
    // The clients must be older than their grants, which would be dead otherwise.
    database.run("UPDATE clients SET tokens_not_before = created_at - interval '2 years'").await?;
    // What they refer to is checked when they come back, all at once: one by one each would also lock its person's row.
    let mut foreign_keys = Vec::new();
    for table in ["sessions", "grants"] {
        foreign_keys.push(database.set_aside_foreign_keys(table).await?);
    }
    let mut fill = Fill::begin(database, args).await?;
    fill.people(database).await?;
    let filled = fill.all_grants(database, keystead, chains).await?;
    for statement in foreign_keys {
        database.run(&statement).await?;
    }
    database.set("autovacuum", "on").await?;
    Ok(filled)
}

struct Fill<'a> {
    args: &'a Args,
    pattern: Pattern,
    clients: Vec<String>,
    /// Each person's id and session.
    people: Vec<(Uuid, Uuid)>,
    live: Vec<Uuid>,
    grants: u64,
    numbers: Numbers,
    begin: Instant,
}

impl<'a> Fill<'a> {
    async fn begin(database: &mut Database, args: &'a Args) -> Result<Self, Failure> {
        let pattern = "SELECT g.scope, g.resources, g.acr, g.amr, g.nonce, g.redirect_uri, g.code_challenge, g.mac_kid,
                (extract(epoch FROM g.expires_at - g.created_at) * 1e6)::bigint AS lifetime,
                (extract(epoch FROM g.idle_expires_at - g.rotated_at) * 1e6)::bigint AS idle_lifetime,
                (extract(epoch FROM s.expires_at - s.created_at) * 1e6)::bigint AS session_lifetime,
                u.password_hash, u.profile::text AS profile, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS now
             FROM grants g JOIN users u ON u.id = g.user_id JOIN sessions s ON s.id = g.session_id
             WHERE g.generation > 1 LIMIT 1";
        let pattern: Pattern = sqlx::query_as(pattern).fetch_one(&mut database.connection).await?;
        let clients = "SELECT id FROM clients WHERE 'authorization_code' = ANY (grant_types) ORDER BY id";
        let clients = sqlx::query_scalar(clients).fetch_all(&mut database.connection).await?;
        let (people, live, numbers) = (Vec::new(), Vec::new(), Numbers(0));
        Ok(Self { args, pattern, clients, people, live, grants: 0, numbers, begin: Instant::now() })
    }

    /// Microseconds after 1970-01-01.
    fn now(&self) -> i64 {
        self.pattern.now + i64::try_from(self.begin.elapsed().as_micros()).unwrap_or(0)
    }

    async fn people(&mut self, database: &mut Database) -> Result<(), Failure> {
        let mut done = 0;
        while done < self.args.users {
            let end = (done + STEP).min(self.args.users);
            let (mut users, mut sessions) = (Rows::new(), Rows::new());
            for number in done..end {
                self.person(number, &mut users, &mut sessions);
            }
            copy(database, USERS, users, end - done).await?;
            copy(database, SESSIONS, sessions, end - done).await?;
            done = end;
        }
        crate::progress(&format!("{done} people after {:.0?}", self.begin.elapsed()));
        Ok(())
    }

    fn person(&mut self, number: u64, users: &mut Rows, sessions: &mut Rows) {
        let now = self.now();
        let (user, session) = (self.numbers.uuid_v7(now), self.numbers.uuid_v7(now));
        let Pattern { password_hash, profile, acr, amr, session_lifetime, .. } = &self.pattern;
        let (email, since) = (email(number), now - self.numbers.span(self.pattern.lifetime));
        users.row(8).uuid(user).text(&email).text(&email).boolean(true).text(password_hash).json(profile);
        users.time(since).time(since);
        let seen = now - self.numbers.span(*session_lifetime / 2);
        let (token, host) = (self.numbers.digest(), self.numbers.below(60_000) + 1000);
        sessions.row(11).uuid(session).bytes(&token).uuid(user).time(seen).text(acr).texts(amr).time(seen).time(seen);
        sessions.time(seen + session_lifetime).text(&format!("203.0.{}.{}", host / 256, host % 256)).text(USER_AGENT);
        self.people.push((user, session));
    }

    async fn all_grants(
        mut self,
        database: &mut Database,
        keystead: &Keystead,
        chains: &Circle,
    ) -> Result<Filled, Failure> {
        let mut connection = Connection::open(keystead.public).await?;
        let mut cookies = String::new();
        for place in 0..CHAINS {
            let end = self.args.grants * (place as u64 + 1) / CHAINS as u64;
            let mut rows = Rows::new();
            let begin = self.grants;
            while self.grants < end {
                self.grant(&mut rows);
            }
            copy(database, GRANTS, rows, end - begin).await?;
            if place % CHAINS_A_PERSON == 0 {
                let username = email(self.numbers.below(self.args.users));
                let person = SignIn { username, password: PERSON.1.to_owned() };
                cookies = person.sign_in(&mut connection).await?;
            }
            chains.extend(keystead.plain_chains(Some(&cookies), 1).await?);
            if (place + 1) % (CHAINS / 8) == 0 {
                crate::progress(&format!("{end} grants after {:.0?}", self.begin.elapsed()));
            }
        }
        Ok(Filled { live: self.live })
    }

    fn grant(&mut self, rows: &mut Rows) {
        let (now, number, total) = (self.now(), self.grants, self.args.grants);
        let (id, request) = (self.numbers.uuid_v7(now), self.numbers.uuid_v7(now));
        let person = usize::try_from(self.numbers.below(self.people.len() as u64)).unwrap_or(0);
        let (user, session) = self.people[person];
        let client = usize::try_from(self.numbers.below(self.clients.len() as u64)).unwrap_or(0);
        let Pattern { lifetime, idle_lifetime, .. } = self.pattern;
        // The expired ones lie anywhere, which is the worst case for who removes them.
        let is_expired = self.args.expired > 0 && number.is_multiple_of(total / self.args.expired);
        // The first is half as old as grants become, the last is new.
        let age = i64::try_from(i128::from(lifetime / 2) * i128::from(total - number) / i128::from(total)).unwrap_or(0);
        let (created, rotated) = if is_expired {
            let expired = now - 2 * DAY - self.numbers.span(20 * DAY);
            (expired - lifetime, expired - self.numbers.span(DAY))
        } else {
            self.live.push(id);
            (now - age, now - self.numbers.span(DAY.min(age + 1)))
        };
        let (p, client) = (&self.pattern, &self.clients[client]);
        rows.row(20).uuid(id).uuid(request).text(client).uuid(user).uuid(session).texts(&p.scope).texts(&p.resources);
        rows.time(created).text(&p.acr).texts(&p.amr);
        rows.optional(p.nonce.as_deref()).text(&p.redirect_uri).optional(p.code_challenge.as_deref());
        rows.time(created + 60_000_000).time(created).time(created + lifetime);
        let generation = i32::try_from(self.numbers.below(500)).unwrap_or(0) + 1;
        rows.integer(generation)
            .bytes(&p.mac_kid)
            .time(rotated)
            .time((rotated + idle_lifetime).min(created + lifetime));
        self.grants += 1;
    }
}

/// The name of a person of the fill.
fn email(number: u64) -> String {
    format!("somebody.{number:07}@people.example.com")
}

async fn copy(database: &mut Database, columns: &str, rows: Rows, expected: u64) -> Result<(), Failure> {
    let statement = format!("COPY {columns} FROM STDIN (FORMAT binary)");
    let mut copy = database.connection.copy_in_raw(&statement).await?;
    copy.send(rows.end()).await?;
    let copied = copy.finish().await?;
    if copied == expected {
        Ok(())
    } else {
        Err(Failure::new(format!("{copied} instead of {expected} rows: {columns}")))
    }
}
