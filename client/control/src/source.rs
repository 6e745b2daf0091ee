//! What a process shows of its transfers, and how these are steered. The sockets know only this.

use std::fmt::Debug;
use std::pin::Pin;

use quiver_client::event::EventReceiver;
use serde_json::Value;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::transfer_name::TransferName;
use crate::view::TransferView;

/// The pending reply to a request.
pub type PendingReply<'a> = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send + 'a>>;

/// What is done with a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// It stops, and keeps what it has.
    Pause,
    /// It continues.
    Resume,
    /// It ends.
    Cancel,
}

/// The transfers of a process. All functions are called on the thread of its socket.
pub trait TransferSource: Debug + Send + Sync + 'static {
    /// The transfers, running and ended ones.
    fn transfers(&self) -> Vec<TransferView>;

    /// The ids of the journal's entries whose transfers this process runs.
    fn journal_ids(&self) -> Vec<u64>;

    /// Subscribes to changes.
    fn changes(&self) -> TransferChanges;

    /// Pauses, resumes or cancels a transfer of this process.
    fn steer(&self, name: TransferName, steering: Steering) -> PendingReply<'_>;

    /// Up to `limit` files of a transfer with numbers above `after`: `{files, more}`.
    fn files(&self, name: TransferName, after: u64, limit: usize) -> PendingReply<'_>;
}

/// Tells when transfers change. Counters of running transfers change without it.
#[derive(Debug)]
pub enum TransferChanges {
    /// The events of a client.
    Events(EventReceiver),
    /// A number that changes with the transfers.
    Version(watch::Receiver<u64>),
}

impl TransferChanges {
    /// Waits for a change. Never returns once there are no more. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        let has_changed = match self {
            Self::Events(events) => events.next().await.is_some(),
            Self::Version(version) => version.changed().await.is_ok(),
        };
        if !has_changed {
            std::future::pending::<()>().await;
        }
    }

    /// Forgets the changes so far.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Events(events) => while events.try_next().is_some() {},
            Self::Version(version) => version.mark_unchanged(),
        }
    }
}
