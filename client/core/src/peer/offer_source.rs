//! The files of an offer that this process serves, and how much of them it has sent. Announces nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use quiver_protocol::{OfferedEntry, Timestamp};
use quiver_transfer::offered_files::OfferedFiles;
use tokio::sync::watch;

use crate::peer_store::{OutgoingOffer, OutgoingState};
use crate::transfers::{ServedOffer, TransferCounters};

/// The files of an offer that this process serves.
#[derive(Debug, Clone)]
pub(crate) struct OfferSource {
    pub(super) offer: OutgoingOffer,
    /// The first top-level files and folders.
    entries: Vec<OfferedEntry>,
    /// `None` until a pipe has been read to its end.
    files: watch::Receiver<Option<Arc<OfferedFiles>>>,
    pub(super) counters: Arc<TransferCounters>,
    is_accepted: Arc<AtomicBool>,
    /// When this process began to serve it.
    started: Timestamp,
    /// Whether the offer has ended, so that running gets of its files end too.
    has_ended: Arc<watch::Sender<bool>>,
}

impl OfferSource {
    /// The source of an offer whose files are `files`, now or later.
    pub(crate) fn new(
        offer: OutgoingOffer,
        entries: Vec<OfferedEntry>,
        files: watch::Receiver<Option<Arc<OfferedFiles>>>,
    ) -> Self {
        // An offer of an earlier process may be accepted already.
        let is_accepted = Arc::new(AtomicBool::new(offer.state == OutgoingState::Accepted));
        let (counters, started) = (Arc::default(), Timestamp(Utc::now()));
        let has_ended = Arc::new(watch::Sender::new(false));
        Self { offer, entries, files, counters, is_accepted, started, has_ended }
    }

    /// Bytes that this process has sent.
    pub(crate) fn sent(&self) -> u64 {
        self.counters.sent()
    }

    /// How much of the offer is sent.
    pub(super) fn status(&self) -> ServedOffer {
        let OutgoingOffer { number, recipient, counts, .. } = &self.offer;
        let names = self.entries.iter().map(|entry| entry.name.to_string()).collect();
        if let Some(bytes) = counts.bytes {
            self.counters.set_bytes(bytes);
        }
        let rate = self.counters.rate();
        ServedOffer {
            number: *number,
            recipient: recipient.clone(),
            names,
            is_accepted: self.is_accepted.load(Ordering::Relaxed),
            started: self.started,
            files: counts.files,
            bytes: counts.bytes,
            sent: self.counters.sent(),
            rate,
            time_left: self.counters.time_left(counts.bytes, rate),
        }
    }

    /// The files; `None` until a pipe has been read to its end.
    pub(super) fn files(&self) -> Option<Arc<OfferedFiles>> {
        self.files.borrow().clone()
    }

    /// The first top-level files and folders.
    pub(super) fn entries(&self) -> &[OfferedEntry] {
        &self.entries
    }

    /// Ends running gets of the files.
    pub(super) fn end(&self) {
        self.has_ended.send_replace(true);
    }

    /// Waits until the offer has ended.
    pub(super) async fn ended(&self) {
        // Fails only after the sender is dropped, and `self` owns it.
        let _ = self.has_ended.subscribe().wait_for(|has_ended| *has_ended).await;
    }

    /// Records that the recipient has accepted.
    pub(super) fn set_accepted(&self) {
        self.is_accepted.store(true, Ordering::Relaxed);
    }
}
