//! The matrix of events against artefacts: SECURITY 37 and 42, PROTOCOL.md. What is expected stands in docs/revocation.md and nowhere else;
//! here is one test for each of its cells, `user_locked::refresh_token` for example.
//!
//! Each event happens once, in a world of its own that has one of each artefact; the tests of its row share what was found afterwards.

mod events;
mod world;

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::OnceLock;

use world::World;

const TABLE: &str = include_str!("../../../docs/revocation.md");

/// What is left of each artefact after one event: whether it still works.
type Outcome = BTreeMap<&'static str, bool>;

macro_rules! matrix {
    ($artefacts:tt; $($event:ident)*) => {
        const EVENTS: &[&str] = &[$(stringify!($event)),*];
        matrix!(@columns $artefacts);
        $(mod $event {
            static OUTCOME: std::sync::OnceLock<super::Outcome> = std::sync::OnceLock::new();
            matrix!(@row $event $artefacts);
        })*
    };
    (@columns [$($artefact:ident)*]) => { const ARTEFACTS: &[&str] = &[$(stringify!($artefact)),*]; };
    (@row $event:ident [$($artefact:ident)*]) => { $(
        #[test]
        fn $artefact() {
            super::check(stringify!($event), stringify!($artefact), &OUTCOME);
        }
    )* };
}

matrix! {
    [
        code offline_code access_token offline_access_token refresh_token offline_refresh_token exchanged_token
        offline_exchanged_token device_pending device_allowed offline_device_allowed pushed_request session own_token
    ];
    signed_out_by_the_application signed_out_by_the_person session_ended_by_an_operator signed_out_everywhere
    user_locked user_locked_and_unlocked password_set user_deleted consent_revoked grant_ended_by_an_operator
    client_disabled client_disabled_and_enabled client_deleted client_secret_replaced exchanging_client_disabled
    code_used_twice refresh_token_reused refresh_token_revoked access_token_revoked exchanged_token_revoked
    keys_rotated signing_keys_revoked mac_key_revoked
}

fn check(event: &'static str, artefact: &str, outcome: &OnceLock<Outcome>) {
    let expected = match cell(event, artefact) {
        "lives" => true,
        "ends" => false,
        other => panic!("docs/revocation.md says {other:?}"),
    };
    // A world that breaks down is not made again for each of its cells.
    let found = outcome.get_or_init(|| catch_unwind(|| what_is_left_after(event)).unwrap_or_default());
    let lives = *found.get(artefact).expect("an outcome; the first test of this event says why there is none");
    assert_eq!(lives, expected, "whether it lives, found and as docs/revocation.md says");
}

fn what_is_left_after(event: &'static str) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::make().await;
        events::happen(event, &mut world).await;
        world.probe().await
    })
}

/// The rows of the table: the event, then what it does to each artefact.
fn rows() -> Vec<Vec<String>> {
    let lines = TABLE.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--"));
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace(' ', "_").to_lowercase()).collect()
    };
    lines.map(cells).collect()
}

fn cell(event: &str, artefact: &str) -> &'static str {
    static ROWS: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    let rows = ROWS.get_or_init(rows);
    let column = rows[0].iter().position(|name| name == artefact).expect("a column of docs/revocation.md");
    let row = rows.iter().find(|row| row[0] == event).expect("a row of docs/revocation.md");
    &row[column]
}

#[test]
fn security_37_42_the_table_has_a_row_for_each_event_and_a_column_for_each_artefact() {
    let rows = rows();
    let head: Vec<&str> = rows[0].iter().skip(1).map(String::as_str).collect();
    assert_eq!(head, ARTEFACTS);
    let events: Vec<&str> = rows.iter().skip(1).map(|row| row[0].as_str()).collect();
    assert_eq!(events, EVENTS);
    for row in &rows {
        assert_eq!(row.len(), ARTEFACTS.len() + 1, "{row:?}");
    }
}

#[test]
fn security_42_before_anything_happens_all_of_it_lives() {
    let outcome = what_is_left_after("nothing");
    assert!(outcome.values().all(|lives| *lives), "{outcome:?}");
    assert_eq!(outcome.len(), ARTEFACTS.len());
}
