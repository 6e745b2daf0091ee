//! Hashing passwords: the one algorithm, what a hash may cost, and how many are computed at once.
//!
//! Knows nothing of names, files and clocks.

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
const MOST_MEMORY: u32 = 256 * 1024;

/// The most passes over that memory.
const MOST_PASSES: u32 = 10;

/// The most lanes.
const MOST_LANES: u32 = 4;

/// Bytes of a salt made here (RFC 9106, section 3.1).
pub(crate) const SALT: usize = 16;

/// What stands in for the salt where there is no hash to compare with.
const DECOY_SALT: [u8; SALT] = *b"nobody has this.";

/// What computing a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// What new hashes cost: 19 MiB, two passes, one lane.
    pub(crate) const DEFAULT: Self = Self { memory: 19 * 1024, passes: 2, lanes: 1 };

    fn params(self, output: usize) -> Result<Params, argon2::Error> {
        Params::new(self.memory, self.passes, self.lanes, Some(output))
    }

    fn argon2(self, output: usize) -> Result<Argon2<'static>, argon2::Error> {
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params(output)?))
    }
}

/// A checked hash from a password file: what it asks for can be computed, and may be.
#[derive(Clone)]
pub(crate) struct StoredHash {
    pub(crate) cost: Cost,
    salt: Salt,
    output: Output,
}

/// Why a hash is not taken. Never says what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashProblem {
    /// Another algorithm, or none.
    #[error("the hash is not an argon2id hash, and no other kind is taken")]
    Algorithm,
    /// The 2015 version of argon2, which hashes otherwise, or none is named.
    #[error("the hash is not of argon2's version 19")]
    Version,
    /// Not the five fields that belong there.
    #[error("the hash is not of the form $argon2id$v=19$m=19456,t=2,p=1$salt$hash")]
    Form,
    /// Too dear.
    #[error("the hash asks for more than 256 MiB (m=262144), 10 passes (t=10) or 4 lanes (p=4)")]
    TooCostly,
    /// Parameters that argon2 itself does not take.
    #[error("argon2 cannot compute a hash with these parameters")]
    Impossible,
}

impl StoredHash {
    /// Checks the text of a hash in the PHC string format.
    pub(crate) fn parse(text: &str) -> Result<Self, HashProblem> {
        if !text.starts_with("$argon2id$") {
            return Err(HashProblem::Algorithm);
        }
        let hash = PasswordHash::new(text).map_err(|_| HashProblem::Form)?;
        if hash.algorithm != ARGON2ID_IDENT {
            return Err(HashProblem::Algorithm);
        }
        if hash.version != Some(Version::V0x13.into()) {
            return Err(HashProblem::Version);
        }
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(HashProblem::Form);
        };
        let number = |name| hash.params.get_decimal(name).ok_or(HashProblem::Form);
        let cost = Cost { memory: number("m")?, passes: number("t")?, lanes: number("p")? };
        if cost.memory > MOST_MEMORY || cost.passes > MOST_PASSES || cost.lanes > MOST_LANES {
            return Err(HashProblem::TooCostly);
        }
        let params = cost.params(output.len()).map_err(|_| HashProblem::Impossible)?;
        // A parameter named twice, or one that is unknown here, would otherwise be passed over.
        if ParamsString::try_from(params).ok().as_ref() != Some(&hash.params) {
            return Err(HashProblem::Form);
        }
        Ok(Self { cost, salt, output })
    }

    /// The text of a new hash.
    pub(crate) fn create(
        password: &Secret,
        cost: Cost,
        salt: [u8; SALT],
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

/// What came of comparing a password, and the work it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) matches: bool,
    pub(crate) hashes: usize,
}

/// Compares a password with a hash, or with none, for the same work: one hash at each of `costs`.
///
/// Only the hash at `stored`'s own cost counts; the others are decoys and their result is dropped.
/// It is the caller's part to give the same `costs` for every name.
pub(crate) fn verify(
    password: &Secret,
    stored: Option<&StoredHash>,
    costs: &[Cost],
) -> Result<Verdict, argon2::Error> {
    let mut verdict = Verdict { matches: false, hashes: 0 };
    for &cost in costs {
        let own = stored.filter(|stored| stored.cost == cost);
        let salt = own.map_or(&DECOY_SALT[..], |own| &own.salt[..]);
        let length = own.map_or(Params::DEFAULT_OUTPUT_LEN, |own| own.output.len());
        let mut room = Zeroizing::new([0; Output::MAX_LENGTH]);
        let output = &mut room[..length];
        cost.argon2(length)?.hash_password_into(password.expose().as_bytes(), salt, output)?;
        verdict.hashes += 1;
        // Comparing outputs takes the same time wherever they differ.
        let equal = own.is_some_and(|own| Output::new(output).is_ok_and(|o| o == own.output));
        verdict.matches |= black_box(equal);
    }
    Ok(verdict)
}

/// Where hashing is done: a few at a time on blocking threads, a bounded number waiting.
#[derive(Debug)]
pub(crate) struct HashingPool {
    /// Work that is under way.
    permits: Arc<Semaphore>,
    /// Work that is under way or waits.
    places: Arc<Semaphore>,
}

/// Why work was not done.
#[derive(Debug, Error)]
pub(crate) enum HashingError {
    #[error("too many are waiting already")]
    Full,
    #[error(transparent)]
    ShuttingDown(#[from] ShuttingDown),
}

impl HashingPool {
    /// Room for `at_once` pieces of work and `waiting` more behind them.
    pub(crate) fn new(at_once: usize, waiting: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + waiting)),
        }
    }

    /// Does a piece of work when its turn comes, in the order of asking.
    ///
    /// A caller that goes away while waiting gives its place up. One that goes away later does not:
    /// the work cannot be stopped, so it holds its permit until it is done.
    ///
    /// # Panics
    /// Where the work does.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HashingError::Full)?;
        // Nothing ever closes this semaphore.
        let permit =
            Arc::clone(&self.permits).acquire_owned().await.map_err(|_| HashingError::Full)?;
        let work = move || {
            let _held = (place, permit);
            work()
        };
        Ok(blocking::run(work).await?)
    }
}

#[cfg(test)]
mod tests;
