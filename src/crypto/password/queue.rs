//! The bounded queue in front of the hash threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::HashError;
use super::argon::Memory;

/// A thread without work gives its memory back after this long.
const IDLE: Duration = Duration::from_secs(2);

/// Something to do for somebody who may have gone away.
pub trait Job: Send {
    /// Whether nobody waits for the result any more.
    fn is_cancelled(&self) -> bool;
    /// Does it.
    fn run(self: Box<Self>, memory: &mut Memory);
}

/// Jobs that wait, and the threads that wait for jobs.
pub struct Queue {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
}

impl Queue {
    /// A queue in which `capacity` jobs can wait.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a job, or refuses at once. Jobs that nobody waits for make room.
    pub fn push(&self, job: Box<dyn Job>) -> Result<(), HashError> {
        let mut state = self.lock();
        self.make_room(&mut state)?;
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether a job would be taken at this moment.
    pub fn has_room(&self) -> Result<(), HashError> {
        self.make_room(&mut self.lock())
    }

    fn make_room(&self, state: &mut State) -> Result<(), HashError> {
        if state.jobs.len() >= self.capacity {
            state.jobs.retain(|job| !job.is_cancelled());
        }
        if state.jobs.len() >= self.capacity { Err(HashError::Busy) } else { Ok(()) }
    }

    /// How many jobs wait.
    pub fn depth(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Ends the threads.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Does jobs until the queue is closed; the body of each thread.
    pub fn work(&self, mut memory: Memory) {
        while let Some(job) = self.next(&mut memory) {
            // A panic is reported by the panic hook, and by the caller who gets no answer. What it left in the memory does
            // not matter: every hash starts by overwriting it.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run(&mut memory)));
        }
    }

    /// Waits for a job that somebody still waits for.
    fn next(&self, memory: &mut Memory) -> Option<Box<dyn Job>> {
        let mut state = self.lock();
        while !state.closed {
            match state.jobs.pop_front() {
                Some(job) if job.is_cancelled() => {}
                Some(job) => return Some(job),
                None if memory.is_empty() => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                None => {
                    let waited = self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                    state = waited.0;
                    if waited.1.timed_out() {
                        memory.release();
                    }
                }
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of ours can panic while it holds the lock, and the state is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
