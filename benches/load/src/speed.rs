//! How fast this machine is, so that milliseconds and rates of different machines can be compared.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::failure::Failure;

/// What an ES256 signature takes on the machine for which the bars in milliseconds and requests a second were set.
const SET_FOR: Duration = Duration::from_nanos(16_700);
/// Signatures that are timed together, and how often; the median counts.
const SIGNATURES: u32 = 200;
const TIMES: usize = 31;

/// What an ES256 signature takes here.
#[derive(Debug, Clone, Copy)]
pub struct Speed(Duration);

impl Speed {
    /// Signs for a fraction of a second.
    pub fn measure() -> Result<Self, Failure> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let random = SystemRandom::new();
        let mut times = [Duration::ZERO; TIMES];
        for time in &mut times {
            let begin = Instant::now();
            for _ in 0..SIGNATURES {
                pair.sign(&random, &[0; 500])?;
            }
            *time = begin.elapsed() / SIGNATURES;
        }
        times.sort_unstable();
        Ok(Self(times[TIMES / 2]))
    }

    /// How many times as long as there a signature takes here.
    pub fn slowness(self) -> f64 {
        self.0.as_secs_f64() / SET_FOR.as_secs_f64()
    }

    /// Microseconds that a signature takes here.
    pub fn micros(self) -> f64 {
        self.0.as_secs_f64() * 1e6
    }

    /// One sentence for the person who reads the table.
    pub fn sentence(self) -> String {
        let set_for = SET_FOR.as_secs_f64() * 1e6;
        format!(
            "an ES256 signature takes {:.1} us here, and {set_for} us where the bars in ms and requests a second were set: {:.2} times as long",
            self.micros(),
            self.slowness()
        )
    }
}
