use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rstest::rstest;

use super::*;

const QUICK: HashParams = HashParams { memory_kib: 64, iterations: 1, parallelism: 1 };
/// "password" and "somesalt", from the tests of the Argon2 reference implementation.
const REFERENCE: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

fn pool_of(params: HashParams, threads: usize, queue: usize) -> PasswordPool {
    PasswordPool::start(params, threads, queue, Random::system()).unwrap()
}

fn pool() -> PasswordPool {
    pool_of(QUICK, 1, 8)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Keeps the only thread of a pool busy until the sender is dropped.
async fn occupy(pool: &Arc<PasswordPool>) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = oneshot::channel();
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        let work = move |_: &mut Memory| {
            let _ = started.send(());
            let _ = held.recv();
            Ok(())
        };
        pool.submit(work).await
    });
    running.await.unwrap();
    release
}

async fn until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it never came true");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn security_51_hashes_are_argon2id_with_a_salt_of_their_own() {
    let pool = pool();
    let first = pool.hash(secret("correct horse")).await.unwrap();
    let second = pool.hash(secret("correct horse")).await.unwrap();
    assert!(first.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{first}");
    assert_ne!(first, second);
    assert_eq!(first.split('$').nth(4).unwrap().len(), 22, "16 bytes of salt");
    for phc in [first, second] {
        let right = Verdict { matches: true, needs_rehash: false };
        assert_eq!(pool.verify(secret("correct horse"), phc.clone()).await, Ok(right));
        let wrong = Verdict { matches: false, needs_rehash: false };
        assert_eq!(pool.verify(secret("Correct horse"), phc).await, Ok(wrong));
    }
}

#[tokio::test]
async fn security_48_every_character_of_a_long_password_counts() {
    let pool = pool();
    let long = "päss wörd ".repeat(100);
    let phc = pool.hash(secret(&long)).await.unwrap();
    assert!(pool.verify(secret(&long), phc.clone()).await.unwrap().matches);
    assert!(!pool.verify(secret(&long[..long.len() - 1]), phc).await.unwrap().matches);
}

#[tokio::test]
async fn a_hash_of_the_reference_implementation_verifies_and_wants_a_rehash() {
    let pool = pool();
    let verdict = pool.verify(secret("password"), REFERENCE.to_owned()).await.unwrap();
    assert_eq!(verdict, Verdict { matches: true, needs_rehash: true });
    assert!(!pool.verify(secret("passwore"), REFERENCE.to_owned()).await.unwrap().matches);
}

#[rstest]
#[case::other_memory(HashParams { memory_kib: 72, ..QUICK }, true)]
#[case::other_iterations(HashParams { iterations: 2, ..QUICK }, true)]
#[case::other_lanes(HashParams { parallelism: 2, ..QUICK }, true)]
#[case::same(QUICK, false)]
#[tokio::test]
async fn security_51_other_parameters_want_a_rehash(#[case] params: HashParams, #[case] needs_rehash: bool) {
    let phc = pool_of(params, 1, 1).hash(secret("p")).await.unwrap();
    let verdict = pool().verify(secret("p"), phc).await.unwrap();
    assert_eq!(verdict, Verdict { matches: true, needs_rehash });
}

#[rstest]
#[case::empty("")]
#[case::no_phc_string("correct horse")]
#[case::cut("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ")]
#[case::no_salt("$argon2id$v=19$m=256,t=2,p=1")]
#[case::other_algorithm("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")]
#[case::bcrypt("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW")]
#[case::no_version("$argon2id$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")]
#[case::too_much_memory("$argon2id$v=19$m=1048577,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")]
#[case::too_many_passes("$argon2id$v=19$m=256,t=33,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")]
#[case::too_many_lanes("$argon2id$v=19$m=256,t=2,p=17$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")]
#[case::no_memory("$argon2id$v=19$m=0,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")]
#[tokio::test]
async fn a_corrupt_stored_hash_is_an_error_and_not_a_wrong_password(#[case] phc: &str) {
    let error = pool().verify(secret("password"), phc.to_owned()).await.unwrap_err();
    assert!(matches!(error, HashError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn security_53_nothing_never_matches() {
    let nothing = pool().verify_nothing(secret("")).await;
    assert_eq!(nothing, Ok(Verdict { matches: false, needs_rehash: false }));
}

#[tokio::test]
async fn security_53_an_unknown_account_costs_as_much_as_a_known_one() {
    let pool = pool_of(HashParams { memory_kib: 4096, iterations: 2, parallelism: 1 }, 1, 8);
    let phc = pool.hash(secret("password")).await.unwrap();
    // The quickest of each: what else the machine does only ever adds, so on a busy one it takes more of them.
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    let is_equal = |known: Duration, unknown: Duration| known < unknown * 2 && unknown < known * 2;
    for round in 0..300 {
        let begin = Instant::now();
        pool.verify(secret("guess"), phc.clone()).await.unwrap();
        known = known.min(begin.elapsed());
        let begin = Instant::now();
        pool.verify_nothing(secret("guess")).await.unwrap();
        unknown = unknown.min(begin.elapsed());
        if round > 10 && is_equal(known, unknown) {
            break;
        }
    }
    assert!(is_equal(known, unknown), "{known:?} and {unknown:?}");
}

#[tokio::test]
async fn a_storm_beyond_the_queue_is_told_at_once_that_the_pool_is_busy() {
    let pool = Arc::new(pool_of(QUICK, 1, 3));
    let release = occupy(&pool).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.hash(secret("p")).await })
        })
        .collect();
    until(|| pool.depth() == 3).await;
    for _ in 0..100 {
        assert_eq!(pool.hash(secret("p")).await, Err(HashError::Busy));
        assert_eq!(pool.has_room(), Err(HashError::Busy));
    }
    drop(release);
    for job in waiting {
        assert!(job.await.unwrap().is_ok(), "those who queued are served");
    }
    assert_eq!((pool.depth(), pool.has_room()), (0, Ok(())));
    assert!(pool.hash(secret("p")).await.is_ok());
}

#[rstest]
#[case::its_place_is_needed(1)]
#[case::it_is_still_queued(2)]
#[tokio::test]
async fn the_job_of_a_caller_who_went_away_makes_room_and_is_never_done(#[case] capacity: usize) {
    let pool = Arc::new(pool_of(QUICK, 1, capacity));
    let release = occupy(&pool).await;
    let done = Arc::new(AtomicUsize::new(0));
    let cancelled = {
        let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
        tokio::spawn(async move {
            let work = move |_: &mut Memory| Ok(done.fetch_add(1, Ordering::SeqCst));
            pool.submit(work).await
        })
    };
    until(|| pool.depth() == 1).await;
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    let next = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.hash(secret("p")).await })
    };
    tokio::task::yield_now().await;
    assert_eq!(pool.depth(), capacity, "the cancelled job left only where its place was needed");
    drop(release);
    assert!(next.await.unwrap().is_ok(), "its place was free again");
    assert_eq!(done.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_reaches_its_caller_only() {
    let pool = pool();
    for _ in 0..3 {
        let outcome = pool.submit::<()>(|_| std::panic::resume_unwind(Box::new("a defect"))).await;
        assert_eq!(outcome, Err(HashError::Failed));
    }
    assert!(pool.hash(secret("p")).await.is_ok(), "the only thread goes on");
}

#[tokio::test]
async fn dropping_the_pool_ends_its_threads() {
    let pool = pool_of(QUICK, 3, 8);
    pool.hash(secret("p")).await.unwrap();
    let queue = Arc::downgrade(&pool.queue);
    drop(pool);
    until(|| queue.strong_count() == 0).await;
}

#[rstest]
#[case::no_memory(HashParams { memory_kib: 0, ..QUICK })]
#[case::too_little_for_the_lanes(HashParams { memory_kib: 15, parallelism: 2, ..QUICK })]
#[case::too_much_memory(HashParams { memory_kib: (1 << 20) + 1, ..QUICK })]
#[case::no_pass(HashParams { iterations: 0, ..QUICK })]
#[case::too_many_passes(HashParams { iterations: 33, ..QUICK })]
#[case::no_lane(HashParams { parallelism: 0, ..QUICK })]
#[case::too_many_lanes(HashParams { parallelism: 17, ..QUICK })]
fn parameters_out_of_bounds_are_refused_at_the_start(#[case] params: HashParams) {
    let error = PasswordPool::start(params, 1, 1, Random::system()).err().unwrap();
    assert!(matches!(error, CryptoError::HashParams { .. }), "{error}");
}

#[test]
fn the_usual_memory_is_kept_between_hashes_and_more_is_given_back() {
    let mut memory = Memory::new(QUICK.memory_kib);
    let hasher = Hasher::new(QUICK, Random::system()).unwrap();
    hasher.hash(&secret("p"), &mut memory).unwrap();
    assert!(!memory.is_empty());
    assert!(hasher.verify(&secret("password"), REFERENCE, &mut memory).unwrap().matches);
    assert!(memory.is_empty(), "256 KiB is more than the usual 64");
    assert!(hasher.verify(&secret("password"), REFERENCE, &mut memory).unwrap().matches);
}
