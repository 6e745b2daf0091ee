//! Hashing passwords: the algorithm, the limits of a hash's cost, and a bounded pool that computes hashes.
//!
//! Knows no names, files and clocks.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHasher, Version};
use quiver_protocol::Secret;
use quiver_transfer::{ShuttingDown, blocking};
use thiserror::Error;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The most memory a hash may take, in KiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// The most passes of a hash over its memory.
const MAX_PASSES: u32 = 10;

/// The most lanes of a hash.
const MAX_LANES: u32 = 4;

/// Bytes of the salt of a new hash (RFC 9106, section 3.1).
pub(crate) const SALT_BYTES: usize = 16;

/// The salt of decoy hashes.
const DECOY_SALT: [u8; SALT_BYTES] = *b"decoy salt bytes";

/// The cost of computing a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl HashCost {
    /// The cost of new hashes: 19 MiB, two passes, one lane.
    pub(crate) const DEFAULT: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    fn params(self, output: usize) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(output))
    }

    fn argon2(self, output: usize) -> Result<Argon2<'static>, argon2::Error> {
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params(output)?))
    }
}

/// A valid hash from a password file, whose cost is within the limits.
#[derive(Clone)]
pub(crate) struct StoredHash {
    pub(crate) cost: HashCost,
    salt: Salt,
    output: Output,
}

/// Why a hash is rejected. Does not contain the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashProblem {
    /// The algorithm is not argon2id, or is missing.
    #[error("the hash is not an argon2id hash, and no other kind is accepted")]
    Algorithm,
    /// The version is not 19, or is missing: the version of 2015 computes other hashes.
    #[error("the hash is not of argon2's version 19")]
    Version,
    /// The hash does not have its five fields.
    #[error("the hash is not of the form $argon2id$v=19$m=19456,t=2,p=1$salt$hash")]
    Malformed,
    /// The cost is over a limit.
    #[error("the hash asks for more than 256 MiB (m=262144), 10 passes (t=10) or 4 lanes (p=4)")]
    TooCostly,
    /// Argon2 does not accept the parameters.
    #[error("argon2 cannot compute a hash with these parameters")]
    InvalidParams,
}

impl StoredHash {
    /// Checks the text of a hash in the PHC string format.
    pub(crate) fn parse(text: &str) -> Result<Self, HashProblem> {
        if !text.starts_with("$argon2id$") {
            return Err(HashProblem::Algorithm);
        }
        let hash = PasswordHash::new(text).map_err(|_| HashProblem::Malformed)?;
        if hash.algorithm != ARGON2ID_IDENT {
            return Err(HashProblem::Algorithm);
        }
        if hash.version != Some(Version::V0x13.into()) {
            return Err(HashProblem::Version);
        }
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(HashProblem::Malformed);
        };
        let number = |name| hash.params.get_decimal(name).ok_or(HashProblem::Malformed);
        let cost = HashCost { memory_kib: number("m")?, passes: number("t")?, lanes: number("p")? };
        if cost.memory_kib > MAX_MEMORY_KIB || cost.passes > MAX_PASSES || cost.lanes > MAX_LANES {
            return Err(HashProblem::TooCostly);
        }
        let params = cost.params(output.len()).map_err(|_| HashProblem::InvalidParams)?;
        // Rejects repeated and unknown parameters, which would otherwise be ignored.
        if ParamsString::try_from(params).ok().as_ref() != Some(&hash.params) {
            return Err(HashProblem::Malformed);
        }
        Ok(Self { cost, salt, output })
    }

    /// The text of a new hash.
    pub(crate) fn create(
        password: &Secret,
        cost: HashCost,
        salt: [u8; SALT_BYTES],
    ) -> Result<String, argon2::password_hash::Error> {
        let hash = cost
            .argon2(Params::DEFAULT_OUTPUT_LEN)?
            .hash_password_with_salt(password.expose().as_bytes(), &salt)?;
        Ok(hash.to_string())
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredHash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Whether a password matches, and how many hashes were computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashComparison {
    pub(crate) matches: bool,
    pub(crate) hashes: usize,
}

/// Compares a password with a hash, or with none, with the same work: one hash at each of `costs`.
///
/// Only the hash at `stored`'s own cost counts; the others are decoys whose result is dropped. The
/// caller must give the same `costs` for every name.
pub(crate) fn verify(
    password: &Secret,
    stored: Option<&StoredHash>,
    costs: &[HashCost],
) -> Result<HashComparison, argon2::Error> {
    let mut comparison = HashComparison { matches: false, hashes: 0 };
    for &cost in costs {
        let own = stored.filter(|stored| stored.cost == cost);
        let salt = own.map_or(&DECOY_SALT[..], |own| &own.salt[..]);
        let output_length = own.map_or(Params::DEFAULT_OUTPUT_LEN, |own| own.output.len());
        let mut buffer = Zeroizing::new([0; Output::MAX_LENGTH]);
        let output = &mut buffer[..output_length];
        cost.argon2(output_length)?.hash_password_into(
            password.expose().as_bytes(),
            salt,
            output,
        )?;
        comparison.hashes += 1;
        // Outputs are compared in constant time.
        let is_equal = own.is_some_and(|own| Output::new(output).is_ok_and(|o| o == own.output));
        comparison.matches |= black_box(is_equal);
    }
    Ok(comparison)
}

/// Computes a few hashes at a time on blocking threads; a bounded number of others waits.
#[derive(Debug)]
pub(crate) struct HashingPool {
    /// One permit for each running task.
    running_permits: Arc<Semaphore>,
    /// One permit for each task that runs or waits.
    queue_permits: Arc<Semaphore>,
}

/// Why the pool did not run a task.
#[derive(Debug, Error)]
pub(crate) enum HashingError {
    #[error("the hashing queue is full")]
    Full,
    #[error(transparent)]
    ShuttingDown(#[from] ShuttingDown),
}

impl HashingPool {
    /// Creates a pool that runs `max_running` tasks at once and lets `max_waiting` more wait.
    pub(crate) fn new(max_running: usize, max_waiting: usize) -> Self {
        Self {
            running_permits: Arc::new(Semaphore::new(max_running)),
            queue_permits: Arc::new(Semaphore::new(max_running + max_waiting)),
        }
    }

    /// Runs `work`. Work runs in the order of the calls.
    ///
    /// A future that is dropped while it waits frees its place in the queue. One that is dropped later
    /// does not: the work cannot be stopped, and holds its permits until it is done.
    ///
    /// # Panics
    /// Where `work` panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let queue_permit =
            Arc::clone(&self.queue_permits).try_acquire_owned().map_err(|_| HashingError::Full)?;
        // The semaphore is never closed.
        let running_permit = Arc::clone(&self.running_permits)
            .acquire_owned()
            .await
            .map_err(|_| HashingError::Full)?;
        let work = move || {
            let _held = (queue_permit, running_permit);
            work()
        };
        Ok(blocking::run(work).await?)
    }
}

#[cfg(test)]
mod tests;
