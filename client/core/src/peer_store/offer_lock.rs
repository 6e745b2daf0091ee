//! The lock of an offer: one process at a time fetches an incoming offer, or copies standard input for an outgoing one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use quiver_transfer::file_system::{FileLock, is_locked, try_lock};

use super::{OfferNumber, PeerStore, PeerStoreError};
use crate::unix;

/// The lock of an offer, which shows that this process fetches it, or copies its content from standard input. Released
/// when dropped.
#[derive(Debug)]
pub struct OfferLock {
    _file: File,
    /// `None` if the file system has no locks: other processes then do not see that this one has the offer. Partial
    /// files are safe nevertheless, because they are never shared without a lock.
    lock: Option<FileLock>,
}

impl OfferLock {
    /// Whether no other process has the lock; `false` if the file system has no locks.
    pub(super) fn is_exclusive(&self) -> bool {
        self.lock.is_some()
    }
}

impl PeerStore {
    /// Locks an offer for this process; `None` if another process, or another lock of this one, has it. Take the lock
    /// before you [accept](Self::accept_offer) an offer, so that no other process begins to fetch it in between.
    ///
    /// # Errors
    /// [`PeerStoreError::Open`].
    pub fn lock_offer(&self, number: OfferNumber) -> Result<Option<OfferLock>, PeerStoreError> {
        let path = self.lock_path(number);
        let failed = |source| PeerStoreError::Open { path: path.clone(), source };
        let file = unix::open_lock(&path).map_err(failed)?;
        match try_lock(&file) {
            Ok(lock) => Ok(Some(OfferLock { _file: file, lock: Some(lock) })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Some(OfferLock { _file: file, lock: None }))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether a process has the lock of an offer: it fetches an incoming one, or copies standard input for an outgoing
    /// one.
    #[must_use]
    pub fn is_locked(&self, number: OfferNumber) -> bool {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).custom_flags(unix::SAFE_OPEN_FLAGS).open(self.lock_path(number));
        file.is_ok_and(|file| is_locked(&file))
    }

    /// The file that holds the content of standard input, for an offer of [`Spool`](super::OfferedContent::Spool).
    #[must_use]
    pub fn spool_path(&self, number: OfferNumber) -> PathBuf {
        self.offers_folder.join(format!("{number}.spool"))
    }

    /// Removes the spooled content of settled offers. Ignores failures: it is tried again when the offer is removed.
    pub(super) fn remove_spools(&self, offers: &[OfferNumber]) {
        for number in offers {
            let _ = fs::remove_file(self.spool_path(*number));
        }
    }

    /// Removes the files of offers that are no longer in the database. Ignores failures: the numbers are not used
    /// again, so a file that is left has no effect.
    pub(super) fn remove_files(&self, offers: &[OfferNumber]) {
        self.remove_spools(offers);
        for number in offers {
            let _ = fs::remove_file(self.lock_path(*number));
        }
    }

    fn lock_path(&self, number: OfferNumber) -> PathBuf {
        self.offers_folder.join(format!("{number}.lock"))
    }
}
