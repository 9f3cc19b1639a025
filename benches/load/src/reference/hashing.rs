//! Argon2id, one thread a core, memory reused: what a sign-in costs whatever else a server does.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use crate::failure::Failure;

const SALT: &[u8] = b"0123456789abcdef";

type Job = (String, oneshot::Sender<[u8; 32]>);

/// The queue of the hashing threads.
pub struct Hashing {
    queue: mpsc::Sender<Job>,
}

impl Hashing {
    /// Starts the threads.
    pub fn start() -> Result<Self, Failure> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            let jobs = Arc::clone(&jobs);
            // The parameters of Keystead's default settings.
            let params = Params::new(19_456, 2, 1, Some(32)).map_err(|error| Failure::new(error.to_string()))?;
            std::thread::spawn(move || work(&jobs, &params));
        }
        Ok(Self { queue })
    }

    /// Whether a password is right; all are, as soon as they are hashed.
    pub async fn verify(&self, password: String) -> bool {
        let (done, hash) = oneshot::channel();
        self.queue.send((password, done)).is_ok() && hash.await.is_ok_and(|hash| hash != [0; 32])
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>, params: &Params) {
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((password, done)) = job else { return };
        let mut hash = [0; 32];
        let hashed = argon2.hash_password_into_with_memory(password.as_bytes(), SALT, &mut hash, &mut memory);
        if hashed.is_ok() {
            // A caller that is gone needs no answer.
            let _ = done.send(hash);
        }
    }
}
