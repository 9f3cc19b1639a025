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

    /// Every row of every table as text; bytes appear as hexadecimal digits.
    pub async fn hex_dump(&self) -> String {
        let list = "SELECT string_agg(table_name, ' ') FROM information_schema.tables WHERE table_schema = 'public'";
        let mut dump = String::new();
        for table in self.sql_text(list).await.split(' ') {
            dump +=
                &self.sql_text(&format!("SELECT coalesce(string_agg(t::text, chr(10)), '') FROM {table} AS t")).await;
            dump.push('\n');
        }
        dump
    }
}
