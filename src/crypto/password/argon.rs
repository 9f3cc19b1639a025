//! Argon2id (RFC 9106) and its stored form, the PHC string.

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};

use super::{CryptoError, HashError, HashParams, Random, Verdict};
use crate::crypto::digest;
use crate::domain::Secret;

const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
/// Bounds on parameters, our own and those of stored hashes: a damaged row must not take the machine's memory or an hour.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_ITERATIONS: u32 = 32;
const MOST_LANES: u32 = 16;

/// Hashes and verifies with parameters that were checked.
pub struct Hasher {
    params: Params,
    random: Random,
    /// A hash that no password has, for accounts that do not exist.
    nothing: Stored,
}

/// What a PHC string says.
struct Stored {
    params: Params,
    version: Version,
    salt: Salt,
    hash: Output,
}

impl Hasher {
    pub fn new(params: HashParams, random: Random) -> Result<Self, CryptoError> {
        let HashParams { memory_kib, iterations, parallelism } = params;
        let refused = || CryptoError::HashParams { memory_kib, iterations, parallelism };
        let params = Params::new(memory_kib, iterations, parallelism, Some(HASH_LEN)).map_err(|_| refused())?;
        if !is_bounded(&params) {
            return Err(refused());
        }
        let salt = Salt::new(&random.bytes::<SALT_LEN>()).map_err(|_| refused())?;
        // Random bytes instead of a hash: the work of a comparison is the same, and start-up does not pay for one.
        let hash = Output::new(&random.bytes::<HASH_LEN>()).map_err(|_| refused())?;
        let nothing = Stored { params: params.clone(), version: Version::V0x13, salt, hash };
        Ok(Self { params, random, nothing })
    }

    /// A PHC string with a fresh salt.
    pub fn hash(&self, password: &Secret, memory: &mut Memory) -> Result<String, HashError> {
        let salt = Salt::new(&self.random.bytes::<SALT_LEN>()).map_err(|_| HashError::Failed)?;
        let mut hash = [0; HASH_LEN];
        fill(&self.params, Version::V0x13, password, &salt, &mut hash, memory)?;
        let hash = Output::new(&hash).map_err(|_| HashError::Failed)?;
        let (m, t, p) = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        Ok(format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${hash}"))
    }

    /// Compares under the parameters of the stored hash.
    pub fn verify(&self, password: &Secret, phc: &str, memory: &mut Memory) -> Result<Verdict, HashError> {
        let stored = Stored::parse(phc)?;
        let matches = stored.matches(password, memory)?;
        let needs_rehash =
            stored.params != self.params || stored.version != Version::V0x13 || stored.salt.len() < SALT_LEN;
        Ok(Verdict { matches, needs_rehash })
    }

    /// The work of a comparison, and never a match.
    pub fn verify_nothing(&self, password: &Secret, memory: &mut Memory) -> Result<Verdict, HashError> {
        self.nothing.matches(password, memory)?;
        Ok(Verdict { matches: false, needs_rehash: false })
    }
}

impl Stored {
    fn parse(phc: &str) -> Result<Self, HashError> {
        let corrupt = |reason| HashError::Corrupt { reason };
        let parsed = PasswordHash::new(phc).map_err(|_| corrupt("it is no PHC string"))?;
        if parsed.algorithm != ARGON2ID_IDENT {
            return Err(corrupt("it is not Argon2id"));
        }
        let version = parsed.version.and_then(|version| Version::try_from(version).ok());
        let version = version.ok_or_else(|| corrupt("its Argon2 version is unknown"))?;
        let params = Params::try_from(&parsed).map_err(|_| corrupt("its parameters are impossible"))?;
        if !is_bounded(&params) {
            return Err(corrupt("its parameters are out of bounds"));
        }
        let salt = parsed.salt.ok_or_else(|| corrupt("it has no salt"))?;
        let hash = parsed.hash.ok_or_else(|| corrupt("it has no hash"))?;
        Ok(Self { params, version, salt, hash })
    }

    fn matches(&self, password: &Secret, memory: &mut Memory) -> Result<bool, HashError> {
        let mut buffer = [0; Output::MAX_LENGTH];
        let computed = buffer.get_mut(..self.hash.len()).ok_or(HashError::Failed)?;
        fill(&self.params, self.version, password, &self.salt, computed, memory)?;
        Ok(digest::equal(computed, self.hash.as_bytes()))
    }
}

fn is_bounded(params: &Params) -> bool {
    params.m_cost() <= MOST_MEMORY_KIB && params.t_cost() <= MOST_ITERATIONS && params.p_cost() <= MOST_LANES
}

fn fill(
    params: &Params,
    version: Version,
    password: &Secret,
    salt: &Salt,
    out: &mut [u8],
    memory: &mut Memory,
) -> Result<(), HashError> {
    let argon = Argon2::new(Algorithm::Argon2id, version, params.clone());
    let blocks = memory.blocks(params.block_count())?;
    let filled = argon.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, blocks);
    memory.shrink();
    filled.map_err(|_| HashError::Failed)
}

/// A thread's working memory. It is kept from one hash to the next, because getting it from the system costs 7 % of a hash,
/// and given back when the thread has been idle.
pub struct Memory {
    blocks: Vec<Block>,
    /// What the set parameters need; more is needed only for a stored hash with larger ones, and not kept.
    usual: usize,
}

impl Memory {
    /// Empty; `memory_kib` is what the set parameters need.
    pub fn new(memory_kib: u32) -> Self {
        Self { blocks: Vec::new(), usual: usize::try_from(memory_kib).unwrap_or(usize::MAX) }
    }

    /// Whether there is nothing to give back.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Gives everything back.
    pub fn release(&mut self) {
        self.blocks = Vec::new();
    }

    fn blocks(&mut self, count: usize) -> Result<&mut [Block], HashError> {
        if self.blocks.len() < count {
            self.release();
            self.blocks.try_reserve_exact(count).map_err(|_| HashError::Failed)?;
            self.blocks.resize(count, Block::new());
        }
        self.blocks.get_mut(..count).ok_or(HashError::Failed)
    }

    fn shrink(&mut self) {
        if self.blocks.len() > self.usual {
            self.release();
        }
    }
}
