//! The accounts of a password file, and the throttle for sign-in attempts.
//!
//! Knows no connections, sessions and slots: the caller gives the source address of an attempt.
//!
//! An unknown name and a wrong password cannot be told apart: message, delay and work are the same.
//! The work is one hash for each cost (memory, passes, lanes) that occurs in the file: the account's
//! own, and decoys for the others. Where all hashes of a file have the same cost, that is one hash.
//! Where a file mixes costs, an attempt takes the sum of them for every name, so that its duration
//! reveals nothing; setting passwords again with `user add` brings a file back to one cost.

mod file;
mod hashing;
mod throttle;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::text::display_path;
use quiver_protocol::{ClientName, Secret};
use quiver_transfer::{ShuttingDown, blocking};
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior};

pub use self::file::{AccountPermission, LineProblem, PasswordFileError};
pub use self::hashing::HashProblem;

use self::hashing::{HashComparison, HashingError, HashingPool};
use self::throttle::{AttemptOrigin, AttemptOutcome, SignInThrottle};
pub(crate) use self::{
    file::PasswordFile,
    hashing::{HashCost, SALT_BYTES, StoredHash},
};

/// How often the file is checked. A change takes effect after the next check and the time to read the file.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How many attempts may wait for a hashing permit. With one permit and the default cost, the last
/// of them waits about 2 seconds.
const MAX_QUEUED: usize = 64;

/// The accounts of a password file, and the throttle for sign-in attempts.
///
/// Memory: up to 19 MiB (or the cost of the file's most expensive hash) for each of
/// `max(1, cores / 2)` hashing permits, and up to 6 MiB for failed attempts.
pub struct Passwords {
    path: PathBuf,
    file: Mutex<Arc<PasswordFile>>,
    throttle: Mutex<SignInThrottle>,
    hashing_pool: HashingPool,
}

/// Why a sign-in attempt did not succeed.
#[derive(Debug, Error)]
pub enum SignInError {
    /// Unknown name or wrong password. The error does not say which.
    #[error("sign-in failed: unknown name or wrong password")]
    Failed,
    /// Too many attempts; the password was not checked.
    #[error("too many sign-in attempts: try again later")]
    TooMany {
        /// The limit that was reached. For the log, not for the client.
        reason: ThrottleReason,
        /// When to try again, approximately.
        retry_after: Duration,
    },
    /// The server failed.
    #[error("the password could not be checked")]
    Internal(#[from] CheckError),
}

/// The limit that an attempt has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleReason {
    /// Failed and running attempts of one source within a minute.
    Failures,
    /// Attempts of all sources that wait for hashing.
    QueueFull,
}

/// Why a password could not be checked.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Argon2 failed: out of memory.
    #[error("hashing failed: {0}")]
    Hashing(argon2::Error),
    /// The server stops before the password is hashed.
    #[error("hashing did not finish: {0}")]
    ShuttingDown(ShuttingDown),
}

impl Passwords {
    /// Opens a password file and checks all of it. Blocks on the disk; called at the server's start.
    ///
    /// # Errors
    /// [`PasswordFileError`], which names the file and the number of an invalid line.
    pub fn open(path: &Path) -> Result<Self, PasswordFileError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(Arc::new(PasswordFile::read(path)?)),
            throttle: Mutex::default(),
            hashing_pool: HashingPool::new((cores / 2).max(1), MAX_QUEUED),
        })
    }

    /// Checks the file once a second and reloads it when its content has changed. Never returns.
    ///
    /// Where the new file is invalid or no longer private, the accounts stay as they were. This is
    /// logged once, and again when the reason changes.
    pub async fn watch(&self) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut logged_error = None;
        loop {
            ticks.tick().await;
            match self.reload_if_changed().await {
                Ok(ReloadOutcome::Unchanged) => logged_error = None,
                Ok(ReloadOutcome::Reloaded { accounts }) => {
                    logged_error = None;
                    tracing::info!(path = %display_path(&self.path), accounts, "password file reloaded");
                }
                Err(error) => {
                    let error = error.to_string();
                    if logged_error.as_ref() != Some(&error) {
                        tracing::warn!(
                            error,
                            "password file not reloaded: the accounts stay as they were"
                        );
                        logged_error = Some(error);
                    }
                }
            }
        }
    }

    /// The current permission of an account; `None` where the account no longer exists.
    #[must_use]
    pub fn permission(&self, name: &ClientName) -> Option<AccountPermission> {
        lock(&self.file).account(name).map(|account| account.permission)
    }

    /// Makes one sign-in attempt, and returns the account's name as the file spells it.
    ///
    /// Waits for the delay after earlier failures, then hashes. A future that is dropped during the
    /// delay does not count as an attempt; one that is dropped later counts as a failure.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        name: &ClientName,
        password: &Secret,
        source: IpAddr,
    ) -> Result<ClientName, SignInError> {
        let mut attempt = SignInAttempt::start(self, AttemptOrigin::new(source, name))?;
        attempt.wait().await;
        attempt.outcome = AttemptOutcome::Failure;
        match self.verify_password(name, password).await {
            Ok((account, HashComparison { matches: true, .. })) => {
                attempt.outcome = AttemptOutcome::Success;
                account.ok_or(SignInError::Failed)
            }
            Ok(_) => Err(SignInError::Failed),
            Err(error) => {
                attempt.outcome = AttemptOutcome::Unverified;
                Err(error)
            }
        }
    }

    /// Hashes and compares on a blocking thread. Returns the account's name where it exists.
    async fn verify_password(
        &self,
        name: &ClientName,
        password: &Secret,
    ) -> Result<(Option<ClientName>, HashComparison), SignInError> {
        let (file, password) = (Arc::clone(&lock(&self.file)), password.clone());
        let name = name.clone();
        let work = move || {
            let account = file.account(&name);
            let comparison = hashing::verify(&password, account.map(|a| &a.hash), file.costs())?;
            Ok((account.map(|account| account.name.clone()), comparison))
        };
        match self.hashing_pool.run(work).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(CheckError::Hashing(error).into()),
            Err(HashingError::ShuttingDown(ending)) => Err(CheckError::ShuttingDown(ending).into()),
            Err(HashingError::Full) => Err(SignInError::TooMany {
                reason: ThrottleReason::QueueFull,
                retry_after: throttle::DEFAULT_RETRY_AFTER,
            }),
        }
    }

    /// Reads the file, and replaces the accounts where its content has changed.
    async fn reload_if_changed(&self) -> Result<ReloadOutcome, PasswordFileError> {
        let (path, old) = (self.path.clone(), Arc::clone(&lock(&self.file)));
        // Fails only while the server stops.
        let Ok(read) = blocking::run(move || old.read_if_changed(&path)).await else {
            return Ok(ReloadOutcome::Unchanged);
        };
        let Some(file) = read? else { return Ok(ReloadOutcome::Unchanged) };
        let accounts = file.accounts().len();
        *lock(&self.file) = Arc::new(file);
        Ok(ReloadOutcome::Reloaded { accounts })
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The result of a check of the file.
#[derive(Debug, PartialEq, Eq)]
enum ReloadOutcome {
    Unchanged,
    Reloaded { accounts: usize },
}

/// A running sign-in attempt. Dropping it records its outcome in the throttle.
struct SignInAttempt<'a> {
    passwords: &'a Passwords,
    origin: AttemptOrigin,
    outcome: AttemptOutcome,
    /// Released after the outcome is recorded, so that the next attempt gets the right delay.
    turn: Option<OwnedSemaphorePermit>,
    turns: Arc<tokio::sync::Semaphore>,
}

impl<'a> SignInAttempt<'a> {
    fn start(passwords: &'a Passwords, origin: AttemptOrigin) -> Result<Self, SignInError> {
        let turns = lock(&passwords.throttle).admit(&origin, now()).map_err(|retry_after| {
            SignInError::TooMany { reason: ThrottleReason::Failures, retry_after }
        })?;
        Ok(Self { passwords, origin, outcome: AttemptOutcome::Unverified, turn: None, turns })
    }

    /// Waits for the turn, then for the delay after earlier failures.
    async fn wait(&mut self) {
        // The semaphore is never closed.
        self.turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        let delay = lock(&self.passwords.throttle).delay(&self.origin, now());
        tokio::time::sleep(delay).await;
    }
}

impl Drop for SignInAttempt<'_> {
    fn drop(&mut self) {
        lock(&self.passwords.throttle).record(&self.origin, self.outcome, now());
    }
}

/// The time of the runtime's clock, which tests can advance.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests;
