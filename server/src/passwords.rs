//! The accounts of a password file and the throttle before them.
//!
//! Knows nothing of connections, sessions and slots: whoever asks says from where.
//!
//! An unknown name and a wrong password are the same in every way: the words, the delay, and the
//! work. The work is one hash for each cost (memory, passes, lanes) that occurs in the file: the
//! account's own, and decoys for the others. In a file whose hashes are all alike that is one hash.
//! Where a file mixes costs, an attempt takes the sum of them for every name, so that the time tells
//! nothing; passwords that are set again with `user add` bring a file back to one cost.

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

use self::hashing::{HashingError, HashingPool, Verdict};
use self::throttle::{AttemptOrigin, AttemptOutcome, SignInThrottle};
pub(crate) use self::{
    file::PasswordFile,
    hashing::{Cost, SALT, StoredHash},
};

/// How often the file is looked at. A change is live one look and one reading later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many attempts may wait for a hashing permit. With one permit and the default cost the last
/// of them waits about 2 seconds.
const WAITING: usize = 64;

/// The accounts of a password file and the throttle before them.
///
/// Memory: up to 19 MiB (or what the file's costliest hash asks for) for each of
/// `max(1, cores / 2)` hashing permits, and up to 6 MiB that remember failures.
pub struct Passwords {
    path: PathBuf,
    file: Mutex<Arc<PasswordFile>>,
    throttle: Mutex<SignInThrottle>,
    workbench: HashingPool,
}

/// Why an attempt did not succeed.
#[derive(Debug, Error)]
pub enum SignInError {
    /// An unknown name or a wrong password; nobody learns which.
    #[error("sign-in failed: unknown name or wrong password")]
    Failed,
    /// The password was not looked at.
    #[error("too many sign-in attempts: try again later")]
    TooMany {
        /// What there is too much of. For the log; the client need not know.
        what: ThrottleReason,
        /// When to try again, roughly.
        retry_after: Duration,
    },
    /// The server's fault.
    #[error("the password could not be checked")]
    Internal(#[from] CheckError),
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleReason {
    /// Failures (and attempts under way) of this source within a minute.
    Failures,
    /// Attempts of everybody that wait for hashing.
    Waiting,
}

/// Why a password could not be checked.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Argon2 failed: out of memory.
    #[error("hashing failed: {0}")]
    Hashing(argon2::Error),
    /// The server ends before the password is hashed.
    #[error("hashing did not finish: {0}")]
    ShuttingDown(ShuttingDown),
}

impl Passwords {
    /// Opens a password file and checks all of it. Reads the disk: for a server's start.
    ///
    /// # Errors
    /// [`PasswordFileError`], which names the file, and the line where one is wrong.
    pub fn open(path: &Path) -> Result<Self, PasswordFileError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(Arc::new(PasswordFile::read(path)?)),
            throttle: Mutex::default(),
            workbench: HashingPool::new((cores / 2).max(1), WAITING),
        })
    }

    /// Looks at the file once a second and takes a new content over, for as long as it is polled.
    ///
    /// Where the new one is wrong, or no longer private, the accounts stay what they were; the log
    /// says so once, and again when the reason changes.
    pub async fn watch(&self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complaint = None;
        loop {
            looks.tick().await;
            match self.look().await {
                Ok(ReloadOutcome::Same) => complaint = None,
                Ok(ReloadOutcome::New { accounts }) => {
                    complaint = None;
                    tracing::info!(path = %display_path(&self.path), accounts, "password file taken over");
                }
                Err(error) => {
                    let error = error.to_string();
                    if complaint.as_ref() != Some(&error) {
                        tracing::warn!(
                            error,
                            "password file not taken over: the accounts stay as they were"
                        );
                        complaint = Some(error);
                    }
                }
            }
        }
    }

    /// What an account may do, as the file says now; `None` where it is gone.
    #[must_use]
    pub fn permission(&self, name: &ClientName) -> Option<AccountPermission> {
        lock(&self.file).account(name).map(|account| account.may)
    }

    /// Judges one attempt.
    ///
    /// Takes its time: the delay for earlier failures, then hashing. A caller that stops waiting
    /// during the delay leaves no trace; one that stops later has failed.
    ///
    /// Returns the account's name as the file spells it.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        name: &ClientName,
        password: &Secret,
        source: IpAddr,
    ) -> Result<ClientName, SignInError> {
        let mut attempt = Attempt::enter(self, AttemptOrigin::new(source, name))?;
        attempt.wait().await;
        attempt.outcome = AttemptOutcome::Failure;
        match self.judge(name, password).await {
            Ok((account, Verdict { matches: true, .. })) => {
                attempt.outcome = AttemptOutcome::Success;
                account.ok_or(SignInError::Failed)
            }
            Ok(_) => Err(SignInError::Failed),
            Err(error) => {
                attempt.outcome = AttemptOutcome::Unjudged;
                Err(error)
            }
        }
    }

    /// Hashes and compares, on a thread that may block.
    async fn judge(
        &self,
        name: &ClientName,
        password: &Secret,
    ) -> Result<(Option<ClientName>, Verdict), SignInError> {
        let (file, password) = (Arc::clone(&lock(&self.file)), password.clone());
        let name = name.clone();
        let work = move || {
            let account = file.account(&name);
            let verdict = hashing::verify(&password, account.map(|a| &a.hash), file.costs())?;
            Ok((account.map(|account| account.name.clone()), verdict))
        };
        match self.workbench.run(work).await {
            Ok(Ok(judged)) => Ok(judged),
            Ok(Err(error)) => Err(CheckError::Hashing(error).into()),
            Err(HashingError::ShuttingDown(ending)) => Err(CheckError::ShuttingDown(ending).into()),
            Err(HashingError::Full) => Err(SignInError::TooMany {
                what: ThrottleReason::Waiting,
                retry_after: throttle::SOON,
            }),
        }
    }

    /// Looks at the file once.
    async fn look(&self) -> Result<ReloadOutcome, PasswordFileError> {
        let (path, old) = (self.path.clone(), Arc::clone(&lock(&self.file)));
        // Not read, where the server ends.
        let Ok(read) = blocking::run(move || old.read_if_changed(&path)).await else {
            return Ok(ReloadOutcome::Same);
        };
        let Some(file) = read? else { return Ok(ReloadOutcome::Same) };
        let accounts = file.accounts().len();
        *lock(&self.file) = Arc::new(file);
        Ok(ReloadOutcome::New { accounts })
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a look at the file showed.
#[derive(Debug, PartialEq, Eq)]
enum ReloadOutcome {
    Same,
    New { accounts: usize },
}

/// An attempt on its way. Dropped, it has left the throttle, whatever became of it.
struct Attempt<'a> {
    passwords: &'a Passwords,
    who: AttemptOrigin,
    outcome: AttemptOutcome,
    /// Given back after the outcome was noted, so that the next attempt's delay is right.
    turn: Option<OwnedSemaphorePermit>,
    turns: Arc<tokio::sync::Semaphore>,
}

impl<'a> Attempt<'a> {
    fn enter(passwords: &'a Passwords, who: AttemptOrigin) -> Result<Self, SignInError> {
        let turns = lock(&passwords.throttle).enter(&who, now()).map_err(|retry_after| {
            SignInError::TooMany { what: ThrottleReason::Failures, retry_after }
        })?;
        Ok(Self { passwords, who, outcome: AttemptOutcome::Unjudged, turn: None, turns })
    }

    /// Waits for the turn, and then as long as earlier failures ask for.
    async fn wait(&mut self) {
        // Nothing ever closes this semaphore.
        self.turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        let delay = lock(&self.passwords.throttle).delay(&self.who, now());
        tokio::time::sleep(delay).await;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        lock(&self.passwords.throttle).leave(&self.who, self.outcome, now());
    }
}

/// The runtime's clock, which tests can move.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests;
