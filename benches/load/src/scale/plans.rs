//! How PostgreSQL runs the server's statements over the big tables, planned as the server has them planned.

use sqlx::{AssertSqlSafe, Row as _};

use super::database::Database;
use crate::failure::Failure;

/// A statement's name, how it is planned, its PREPARE with the types of its parameters, and values for them.
struct Statement {
    name: &'static str,
    mode: &'static str,
    sql: &'static str,
    values: &'static str,
}

/// As in the server's `store`, less the columns of the answer. Rotation and introspection are batches, planned once and generically; the
/// clean-up's are left to PostgreSQL, which decides after five times.
const STATEMENTS: [Statement; 4] = [
    Statement {
        name: "rotation",
        mode: "force_generic_plan",
        sql: "(uuid[], int4[], text[], text[], bytea[], timestamptz[], timestamptz[]) AS UPDATE grants g
           SET generation = g.generation + 1, mac_kid = q.mac_kid, rotated_at = q.now, idle_expires_at = LEAST(q.idle_expires_at, g.expires_at)
           FROM unnest($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY
                    AS q (grant_id, generation, client_id, scope, mac_kid, now, idle_expires_at, place), users u, clients c
           WHERE g.id = q.grant_id AND g.generation = q.generation AND g.client_id = q.client_id
             AND (q.scope = '' OR string_to_array(q.scope, ' ') <@ g.scope)
             AND g.ended_at IS NULL AND g.expires_at > q.now AND g.idle_expires_at > q.now
             AND u.id = g.user_id AND u.locked_at IS NULL AND c.id = g.client_id AND g.created_at >= c.tokens_not_before
             AND ('offline_access' = ANY (g.scope)
                  OR (SELECT s.ended_at IS NULL AND s.expires_at > q.now FROM sessions s WHERE s.id = g.session_id))
           RETURNING q.place, g.id",
        values: "'{}', '{}', '{}', '{}', '{}', '{}', '{}'",
    },
    Statement {
        name: "introspection",
        mode: "force_generic_plan",
        sql: "(uuid[], text[], timestamptz) AS SELECT g.id, g.client_id FROM grants g
           JOIN users u ON u.id = g.user_id AND u.locked_at IS NULL
           JOIN clients c ON c.id = g.client_id AND c.disabled_at IS NULL AND c.tokens_not_before <= g.created_at
           WHERE g.id = ANY ($1) AND g.ended_at IS NULL AND g.expires_at > $3
             AND ('offline_access' = ANY (g.scope)
                  OR (SELECT s.ended_at IS NULL AND s.expires_at > $3 FROM sessions s WHERE s.id = g.session_id))
           UNION ALL SELECT NULL, r.jti FROM revoked_tokens r WHERE r.jti = ANY ($2)",
        values: "'{}', '{}', now()",
    },
    Statement {
        name: "clean_up_of_grants",
        mode: "auto",
        sql: "(timestamptz, bigint) AS DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)",
        values: "'2001-01-01', 500",
    },
    Statement {
        name: "clean_up_of_sessions",
        mode: "auto",
        sql: "(timestamptz, bigint) AS DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 LIMIT $2)",
        values: "'2001-01-01', 500",
    },
];

/// The plan of each statement once it has run often enough for PostgreSQL to keep one.
pub async fn explain(database: &mut Database) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut plans = Vec::new();
    for Statement { name, mode, sql, values } in STATEMENTS {
        database.run(&format!("SET plan_cache_mode = {mode}; PREPARE {name} {sql}")).await?;
        for _ in 0..6 {
            database.run(&format!("EXECUTE {name} ({values})")).await?;
        }
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE {name} ({values})"));
        let rows = sqlx::raw_sql(explain).fetch_all(&mut database.connection).await?;
        let lines: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        plans.push((name, lines.join("\n")));
        database.run(&format!("RESET plan_cache_mode; DEALLOCATE {name}")).await?;
    }
    Ok(plans)
}
