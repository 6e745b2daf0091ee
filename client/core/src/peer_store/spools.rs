//! Offers of standard input: one process copies the content to a spool file under the lock of the offer, then records
//! its size and releases the lock. From then on any process may serve the file. Reads and writes no content.

use std::fs;
use std::io;

use quiver_protocol::Timestamp;

use super::{NewOffer, OfferLock, OfferNumber, OutgoingOffer, PeerStore, PeerStoreError};

/// Whether the spool file of an offer has all of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolState {
    /// All of standard input is in the file, which has this many bytes.
    Complete(u64),
    /// A process still copies standard input.
    Growing,
    /// The content is lost: no process copies it, and the file is incomplete or has been removed.
    Lost,
}

impl PeerStore {
    /// Adds an offer of standard input. Returns it with its lock, which no other process can take before. The caller
    /// copies the content to [`spool_path`](Self::spool_path), records its size with
    /// [`set_outgoing_counts`](Self::set_outgoing_counts), and then drops the lock.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn add_spooled(
        &self,
        offer: NewOffer,
    ) -> Result<(OutgoingOffer, OfferLock), PeerStoreError> {
        self.add_with(offer, |number| {
            let failed = || PeerStoreError::Open {
                path: self.spool_path(number),
                source: io::ErrorKind::WouldBlock.into(),
            };
            self.lock_offer(number)?.ok_or_else(failed)
        })
    }

    /// Whether the spool file of an offer has all of its content.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`].
    pub fn spool_state(
        &self,
        number: OfferNumber,
        now: Timestamp,
    ) -> Result<SpoolState, PeerStoreError> {
        if let Some(size) = self.outgoing_offer(number, now)?.counts.bytes {
            return self.check_spool(number, size);
        }
        let Some(lock) = self.lock_offer(number)? else { return Ok(SpoolState::Growing) };
        // The size may have been recorded before the lock was released.
        match self.outgoing_offer(number, now)?.counts.bytes {
            Some(size) => self.check_spool(number, size),
            None if lock.is_exclusive() => Ok(SpoolState::Lost),
            None => Ok(SpoolState::Growing),
        }
    }

    fn check_spool(&self, number: OfferNumber, size: u64) -> Result<SpoolState, PeerStoreError> {
        let path = self.spool_path(number);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() == size => Ok(SpoolState::Complete(size)),
            Ok(_) => Ok(SpoolState::Lost),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SpoolState::Lost),
            Err(source) => Err(PeerStoreError::Open { path, source }),
        }
    }
}
