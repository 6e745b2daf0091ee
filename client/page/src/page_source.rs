//! What other processes see of the transfers of this one.

use std::sync::Arc;

use quiver_control::source::{PendingReply, TransferChanges};
use quiver_control::view::TransferView;
use quiver_control::{Steering, TransferName, TransferSource};

use crate::context::PageContext;
use crate::requests::transfers::{own_files, steer_own};

/// The transfers of the present client.
#[derive(Debug)]
pub(crate) struct PageTransfers(pub(crate) Arc<PageContext>);

impl TransferSource for PageTransfers {
    fn transfers(&self) -> Vec<TransferView> {
        self.0.model().board().own()
    }

    fn journal_ids(&self) -> Vec<u64> {
        self.0.active().map(|active| active.client.journal_ids()).unwrap_or_default()
    }

    fn changes(&self) -> TransferChanges {
        TransferChanges::Version(self.0.model().board().own_changes())
    }

    fn steer(&self, name: TransferName, steering: Steering) -> PendingReply<'_> {
        Box::pin(steer_own(&self.0, name, steering))
    }

    fn files(&self, name: TransferName, after: u64, limit: usize) -> PendingReply<'_> {
        Box::pin(own_files(&self.0, name, after, limit))
    }
}
