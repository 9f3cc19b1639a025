//! What lies in the database, read past the server.

use sqlx::{AssertSqlSafe, Row as _};

use super::TestApp;

impl TestApp {
    /// The text that a query gives.
    pub async fn sql_text(&self, query: &str) -> String {
        let row = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch_one(self.engine.store.pool()).await.unwrap();
        row.get(0)
    }

    /// The number that a query counts.
    pub async fn sql_count(&self, from: &str) -> i64 {
        self.sql_text(&format!("SELECT count(*)::text FROM {from}")).await.parse().unwrap()
    }

    /// How often an audit event of this name was written.
    pub async fn events(&self, name: &str) -> i64 {
        self.sql_count(&format!("audit_events WHERE name = '{name}'")).await
    }

    /// Every row of every table, each after the name of its table: what a thief of the database holds. Bytes appear in hexadecimal.
    pub async fn dump(&self) -> String {
        let pool = self.engine.store.pool();
        let tables = sqlx::raw_sql("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'");
        let mut dump = String::new();
        for table in tables.fetch_all(pool).await.unwrap() {
            let table: String = table.get(0);
            let rows = sqlx::raw_sql(AssertSqlSafe(format!("SELECT t::text FROM {table} t")));
            for row in rows.fetch_all(pool).await.unwrap() {
                dump.extend([table.as_str(), " ", row.get(0), "\n"]);
            }
        }
        dump
    }
}
