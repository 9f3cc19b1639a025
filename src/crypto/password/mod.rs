//! Mechanism 4: passwords are hashed with Argon2id on threads of their own, a bounded number at a time, so that a storm of
//! sign-ins cannot slow down anything else.
//!
//! Owns: the threads, their queue, their memory, and the stored form of a hash. Does not own: what a good password is, how
//! long it may be, and how often somebody may try.

mod argon;
mod priority;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::oneshot;

use self::argon::{Hasher, Memory};
use self::queue::{Job, Queue};
use super::{CryptoError, Random};
use crate::domain::Secret;

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashParams {
    /// Memory in KiB: at least 8 for each lane, at most 1 GiB.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 32.
    pub iterations: u32,
    /// Lanes, 1 to 16; they are computed one after the other.
    pub parallelism: u32,
}

/// The outcome of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the password is the right one.
    pub matches: bool,
    /// Whether the stored hash was made with other parameters than the ones set now. Hash anew once the password matched.
    pub needs_rehash: bool,
}

/// Why there is neither a hash nor a verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The queue is full: the caller should come again in a few seconds.
    #[error("all password hash threads are busy and their queue is full: try again in a few seconds")]
    Busy,
    /// The stored hash is none that this server can have made, so nobody can sign in with it.
    #[error("the stored password hash cannot be used ({reason}): set a new password for this account")]
    Corrupt {
        /// What is wrong with it; holds nothing of the hash.
        reason: &'static str,
    },
    /// The hash could not be computed: not enough memory, or a defect.
    #[error("a password hash could not be computed: see whether the machine is out of memory")]
    Failed,
}

/// A bounded number of threads that hash and verify passwords. Dropping it ends them.
pub struct PasswordPool {
    queue: Arc<Queue>,
    hasher: Arc<Hasher>,
}

impl PasswordPool {
    /// Starts the threads. At least one is started and at least one job can wait. As many threads as cores are best.
    ///
    /// # Errors
    /// Parameters out of bounds, or no thread to be had.
    pub fn start(params: HashParams, threads: usize, queue: usize, random: Random) -> Result<Self, CryptoError> {
        let hasher = Arc::new(Hasher::new(params, random)?);
        // Whatever fails below drops the pool, and that ends the threads that were started.
        let pool = Self { queue: Arc::new(Queue::new(queue.max(1))), hasher };
        for index in 0..threads.max(1) {
            let (queue, memory) = (Arc::clone(&pool.queue), Memory::new(params.memory_kib));
            let thread = std::thread::Builder::new().name(format!("password-{index}"));
            let started = thread.spawn(move || {
                priority::give_way();
                queue.work(memory);
            });
            started.map_err(|error| CryptoError::Thread { reason: error.to_string() })?;
        }
        Ok(pool)
    }

    /// Hashes a new password: a PHC string with a fresh salt.
    ///
    /// # Errors
    /// [`HashError::Busy`] at once when the queue is full; [`HashError::Failed`].
    pub async fn hash(&self, password: Secret) -> Result<String, HashError> {
        let hasher = Arc::clone(&self.hasher);
        self.submit(move |memory| hasher.hash(&password, memory)).await
    }

    /// Compares a password with a stored PHC string, under the parameters in that string.
    ///
    /// # Errors
    /// [`HashError::Busy`] at once when the queue is full; [`HashError::Corrupt`]; [`HashError::Failed`].
    pub async fn verify(&self, password: Secret, phc: String) -> Result<Verdict, HashError> {
        let hasher = Arc::clone(&self.hasher);
        self.submit(move |memory| hasher.verify(&password, &phc, memory)).await
    }

    /// Takes as long as [`PasswordPool::verify`] and never matches: for accounts that do not exist or have no password, so
    /// that the time tells nobody which (SECURITY 53).
    ///
    /// # Errors
    /// [`HashError::Busy`] at once when the queue is full; [`HashError::Failed`].
    pub async fn verify_nothing(&self, password: Secret) -> Result<Verdict, HashError> {
        let hasher = Arc::clone(&self.hasher);
        self.submit(move |memory| hasher.verify_nothing(&password, memory)).await
    }

    /// Whether a job would be taken at this moment, for callers that have other work to do first. It may be taken or refused all the same.
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub fn has_room(&self) -> Result<(), HashError> {
        self.queue.has_room()
    }

    /// How many jobs wait for a thread.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.queue.depth()
    }

    async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(Task { reply, work }))?;
        // The reply is dropped unsent only when the work panicked.
        answer.await.unwrap_or(Err(HashError::Failed))
    }
}

impl Drop for PasswordPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Work together with whoever waits for it.
struct Task<T, W> {
    reply: oneshot::Sender<Result<T, HashError>>,
    work: W,
}

impl<T: Send, W: FnOnce(&mut Memory) -> Result<T, HashError> + Send> Job for Task<T, W> {
    fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(self: Box<Self>, memory: &mut Memory) {
        let Self { reply, work } = *self;
        // Nobody waits any more: the caller went away while this was computed.
        let _ = reply.send(work(memory));
    }
}
