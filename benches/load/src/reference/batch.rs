//! Micro-batches: while a statement is in flight, who comes waits; the next statement carries all who wait. No timer.

use sqlx::{PgConnection, PgPool};
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// Questions that one statement carries at most.
const MOST: usize = 128;
/// How often the flusher lets others go first, as in Keystead.
const TURNS: usize = 3;

/// A statement that answers many questions at once.
pub trait Statement: Send + 'static {
    /// What one caller asks.
    type Question: Send + Sync;
    /// What one caller is answered.
    type Answer: Send;

    /// The answers, in the order of the questions.
    fn run(
        connection: &mut PgConnection,
        questions: &[Self::Question],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, sqlx::Error>> + Send;
}

type Waiting<S> = (<S as Statement>::Question, oneshot::Sender<<S as Statement>::Answer>);

/// The queue of one statement; a connection is its own.
pub struct Batch<S: Statement> {
    queue: mpsc::Sender<Waiting<S>>,
}

impl<S: Statement> Batch<S> {
    /// Starts the one flusher.
    pub async fn start(pool: &PgPool) -> Result<Self, Failure> {
        let connection = pool.acquire().await?.detach();
        let (queue, waiting) = mpsc::channel(1024);
        tokio::spawn(flush::<S>(connection, waiting));
        Ok(Self { queue })
    }

    /// Waits for the next statement and its answer. `None`: the database.
    pub async fn ask(&self, question: S::Question) -> Option<S::Answer> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((question, answer)).await.ok()?;
        answered.await.ok()
    }
}

async fn flush<S: Statement>(mut connection: PgConnection, mut waiting: mpsc::Receiver<Waiting<S>>) {
    let mut batch = Vec::with_capacity(MOST);
    loop {
        if waiting.recv_many(&mut batch, MOST).await == 0 {
            return;
        }
        // Without it the flusher runs right behind the first caller and carries one question, while the others are ready to ask.
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        while batch.len() < MOST
            && let Ok(question) = waiting.try_recv()
        {
            batch.push(question);
        }
        let (questions, callers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        // After an error the callers are dropped, and that tells them.
        let Ok(answers) = S::run(&mut connection, &questions).await else { continue };
        for (caller, answer) in callers.into_iter().zip(answers) {
            // A caller that is gone needs no answer.
            let _ = caller.send(answer);
        }
    }
}
