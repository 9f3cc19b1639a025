//! Mechanism 2: work that arrives together travels together.
//!
//! While one statement is in flight, callers queue; the next statement carries all of them as arrays. There is no timer, so a lone caller
//! waits for no other. Each caller gets its own answer; one that goes away, or one that the database refuses, harms no other.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::StoreError;

/// Questions that one statement carries at most.
const MOST: usize = 128;
/// How often a flusher lets others go first before its statement leaves. A task that yields goes on once the runtime has looked what arrived,
/// so requests that came meanwhile ask in the next turn. With one turn, where server and database share a core, statements were so small that
/// PostgreSQL took twice the time for each question. With three, one to three of 64 callers came just too late whenever the answers of the
/// statement before were signed meanwhile, and waited for two statements: the slowest of the refreshes.
const TURNS: usize = 5;
/// Callers that may wait; beyond that they are told at once to come back.
const QUEUE: usize = 4096;

type Caller<A> = oneshot::Sender<Result<A, StoreError>>;

struct Job<Q, A> {
    question: Q,
    caller: Caller<A>,
}

/// Collects questions of one kind and answers them together. Clones share the queue.
pub struct Batcher<Q, A> {
    queue: mpsc::Sender<Job<Q, A>>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Starts `flushers` tasks, each with one statement in flight at most; they end when the last clone is dropped. `run` answers all
    /// questions in their order.
    pub fn start<F, R>(flushers: u8, run: F) -> Self
    where
        F: Fn(Arc<[Q]>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let run = Arc::new(run);
        for _ in 0..flushers {
            tokio::spawn(keep_flushing(Arc::clone(&waiting), Arc::clone(&run)));
        }
        Self { queue }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when too many wait; otherwise what the database says about this question.
    pub async fn ask(&self, question: Q) -> Result<A, StoreError> {
        let (caller, answered) = oneshot::channel();
        self.queue.try_send(Job { question, caller }).map_err(|_| StoreError::Overloaded)?;
        // A flusher that is gone took the question with it: the process is about to end.
        answered.await.map_err(|_| StoreError::Overloaded)?
    }
}

/// A defect that makes one statement panic costs its callers their answer, not everybody the flusher.
async fn keep_flushing<Q, A, F, R>(waiting: Arc<Mutex<mpsc::Receiver<Job<Q, A>>>>, run: Arc<F>)
where
    Q: Clone + Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(Arc<[Q]>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>> + Send + 'static,
{
    while tokio::spawn(flush(Arc::clone(&waiting), Arc::clone(&run))).await.is_err_and(|end| end.is_panic()) {
        tracing::error!("a batched statement panicked; its callers were told to try again");
    }
}

async fn flush<Q, A, F, R>(waiting: Arc<Mutex<mpsc::Receiver<Job<Q, A>>>>, run: Arc<F>)
where
    Q: Clone + Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(Arc<[Q]>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>> + Send + 'static,
{
    let mut jobs = Vec::with_capacity(MOST);
    loop {
        if !gather(&mut *waiting.lock().await, &mut jobs).await {
            return;
        }
        // Who went away while waiting needs no answer.
        jobs.retain(|job: &Job<Q, A>| !job.caller.is_closed());
        answer(std::mem::take(&mut jobs), &*run).await;
    }
}

/// Takes what waits, at least one job. `false`: there will be none any more.
async fn gather<J>(waiting: &mut mpsc::Receiver<J>, jobs: &mut Vec<J>) -> bool {
    if waiting.recv_many(jobs, MOST).await == 0 {
        return false;
    }
    // The runtime runs this task right behind the one that asked first. Requests that have arrived already get their turn before the
    // statement leaves; where nothing else is to do a turn takes microseconds.
    for _ in 0..TURNS {
        if jobs.len() + waiting.len() >= MOST {
            break;
        }
        tokio::task::yield_now().await;
    }
    while jobs.len() < MOST
        && let Ok(job) = waiting.try_recv()
    {
        jobs.push(job);
    }
    true
}

async fn answer<Q, A, F, R>(jobs: Vec<Job<Q, A>>, run: &F)
where
    Q: Clone + Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(Arc<[Q]>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>> + Send + 'static,
{
    if jobs.is_empty() {
        return;
    }
    let (questions, callers): (Vec<Q>, Vec<Caller<A>>) = jobs.into_iter().map(|job| (job.question, job.caller)).unzip();
    let questions: Arc<[Q]> = questions.into();
    match run(Arc::clone(&questions)).await {
        Ok(answers) => {
            debug_assert_eq!(answers.len(), callers.len());
            for (caller, answer) in callers.into_iter().zip(answers) {
                // The caller may have gone away just now.
                let _ = caller.send(answer);
            }
        }
        Err(error) => share(&questions, callers, error, run).await,
    }
}

/// A database that is away is away for all. Any other error may be about one of the questions, so each is asked again alone.
async fn share<Q, A, F, R>(questions: &[Q], callers: Vec<Caller<A>>, error: StoreError, run: &F)
where
    Q: Clone + Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(Arc<[Q]>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Result<A, StoreError>>, StoreError>> + Send + 'static,
{
    if let StoreError::Unavailable(cause) = &error {
        for caller in callers {
            let _ = caller.send(Err(StoreError::Unavailable(Arc::clone(cause))));
        }
        return;
    }
    let alone = callers.len() == 1;
    let mut first_error = Some(error);
    for (question, caller) in questions.iter().zip(callers) {
        let answer = match first_error.take_if(|_| alone) {
            Some(error) => Err(error),
            None => run([question.clone()].into())
                .await
                .and_then(|answers| answers.into_iter().next().unwrap_or(Err(StoreError::Overloaded))),
        };
        let _ = caller.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn doubled(questions: &[u32]) -> Result<Vec<Result<u32, StoreError>>, StoreError> {
        if questions.contains(&13) {
            return Err(StoreError::Constraint("thirteen".into()));
        }
        Ok(questions.iter().map(|question| Ok(question * 2)).collect())
    }

    #[tokio::test]
    async fn callers_that_wait_travel_together_and_each_gets_its_own_answer() {
        let statements = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&statements);
        let batcher = Batcher::start(1, move |questions| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                doubled(&questions)
            }
        });
        let asked = (20..120).map(|question| {
            let batcher = batcher.clone();
            tokio::spawn(async move { (question, batcher.ask(question).await) })
        });
        for task in asked.collect::<Vec<_>>() {
            let (question, answer) = task.await.unwrap();
            assert_eq!(answer.unwrap(), question * 2);
        }
        assert!(statements.load(Ordering::SeqCst) <= 3);
    }

    #[tokio::test]
    async fn who_is_about_to_ask_travels_with_the_first() {
        let statements = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&statements);
        let batcher = Batcher::start(1, move |questions| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move { doubled(&questions) }
        });
        let asked = (20..40).map(|question| {
            let batcher = batcher.clone();
            tokio::spawn(async move {
                for _ in 0..question as usize % TURNS {
                    tokio::task::yield_now().await;
                }
                batcher.ask(question).await
            })
        });
        for task in asked.collect::<Vec<_>>() {
            assert!(task.await.unwrap().is_ok());
        }
        assert_eq!(statements.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_poisoned_question_harms_only_its_own_caller() {
        let batcher = Batcher::start(1, |questions| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            doubled(&questions)
        });
        let asked = (10..16).map(|question| {
            let batcher = batcher.clone();
            tokio::spawn(async move { (question, batcher.ask(question).await) })
        });
        for task in asked.collect::<Vec<_>>() {
            let (question, answer) = task.await.unwrap();
            match answer {
                Ok(answer) => assert_eq!(answer, question * 2),
                Err(error) => assert!(question == 13 && error.is_constraint("thirteen")),
            }
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_harms_nobody() {
        let batcher = Batcher::start(1, |questions| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            doubled(&questions)
        });
        for _ in 0..50 {
            let leaver = batcher.clone();
            let task = tokio::spawn(async move { leaver.ask(1).await });
            let stayer = batcher.clone();
            let stays = tokio::spawn(async move { stayer.ask(2).await });
            tokio::task::yield_now().await;
            task.abort();
            assert_eq!(stays.await.unwrap().unwrap(), 4);
        }
    }

    #[tokio::test]
    async fn a_statement_that_panics_does_not_take_the_flusher_with_it() {
        let batcher = Batcher::start(1, |questions: Arc<[u32]>| async move {
            assert!(!questions.contains(&13), "a defect");
            doubled(&questions)
        });
        assert!(matches!(batcher.ask(13).await, Err(StoreError::Overloaded)));
        assert_eq!(batcher.ask(4).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn an_outage_is_told_to_all_and_a_full_queue_at_once() {
        let batcher = Batcher::<u32, u32>::start(1, |_| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(StoreError::Unavailable(Arc::new(sqlx::Error::PoolTimedOut)))
        });
        let asked: Vec<_> = (0..u32::try_from(QUEUE + MOST).unwrap() + 200)
            .map(|question| {
                let batcher = batcher.clone();
                tokio::spawn(async move { batcher.ask(question).await })
            })
            .collect();
        let (mut away, mut full) = (0, 0);
        for task in asked {
            match task.await.unwrap() {
                Err(StoreError::Unavailable(_)) => away += 1,
                Err(StoreError::Overloaded) => full += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(away >= QUEUE && full > 0, "{away} {full}");
    }

    #[tokio::test]
    async fn who_asked_first_is_answered_first() {
        let batcher = Batcher::start(1, |questions: Arc<[u32]>| async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            doubled(&questions)
        });
        let (said, mut heard) = mpsc::unbounded_channel();
        let numbers: Vec<u32> = (20..20 + 4 * u32::try_from(MOST).unwrap()).collect();
        for &number in &numbers {
            let (batcher, said) = (batcher.clone(), said.clone());
            tokio::spawn(async move {
                batcher.ask(number).await.unwrap();
                said.send(number).unwrap();
            });
        }
        drop(said);
        let mut statements = Vec::new();
        while let Some(number) = heard.recv().await {
            statements.push((number - 20) / u32::try_from(MOST).unwrap());
        }
        assert_eq!(statements.len(), numbers.len());
        assert!(statements.is_sorted(), "a later statement was answered before an earlier one");
    }

    #[tokio::test]
    async fn who_still_waits_at_the_end_is_answered_and_then_the_flushers_go() {
        let (alive, mut gone) = mpsc::channel::<()>(1);
        let batcher = Batcher::start(2, move |questions: Arc<[u32]>| {
            let alive = alive.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                drop(alive);
                doubled(&questions)
            }
        });
        let asked: Vec<_> = (20..400)
            .map(|question| {
                let batcher = batcher.clone();
                tokio::spawn(async move { (question, batcher.ask(question).await) })
            })
            .collect();
        drop(batcher);
        for task in asked {
            let (question, answer) = task.await.unwrap();
            assert_eq!(answer.unwrap(), question * 2);
        }
        let ended = tokio::time::timeout(Duration::from_secs(5), gone.recv()).await;
        assert_eq!(ended, Ok(None), "a flusher goes on though nobody can ask any more");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
        /// Callers of all kinds at once: some ask the same, some what the database refuses, some go away before they are answered.
        #[test]
        fn each_caller_gets_its_own_answer(
            callers in proptest::collection::vec((10..18_u32, 0..4_u8, proptest::bool::weighted(0.2)), 1..200),
            flushers in 1..4_u8,
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let batcher = Batcher::start(flushers, |questions: Arc<[u32]>| async move {
                    tokio::task::yield_now().await;
                    doubled(&questions)
                });
                let mut stay = Vec::new();
                for (question, turns, leaves) in callers {
                    let batcher = batcher.clone();
                    let task = tokio::spawn(async move {
                        for _ in 0..turns {
                            tokio::task::yield_now().await;
                        }
                        (question, batcher.ask(question).await)
                    });
                    if leaves { task.abort() } else { stay.push(task) }
                }
                for task in stay {
                    match task.await.unwrap() {
                        (13, Err(error)) => assert!(error.is_constraint("thirteen"), "{error}"),
                        (question, answer) => assert_eq!(answer.unwrap(), question * 2),
                    }
                }
            });
        }
    }
}
